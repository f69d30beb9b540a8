"""PostgreSQL dies, is away, stands still, takes no more connections, does not write, or waits for a foreign lock."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random

from chaos.databases import NOTIFIER, TOKEN_BROKER, Postgresql
from chaos.faults.fault import Fault, Missed
from chaos.scene import Scene
from chaos.until import until
from deploy.containers.holders import DATABASES

_FELT_SECONDS = 60.0
_LONGER_THAN_A_STATEMENT = 45.0
"""A service waits half a minute for an answer."""


@asynccontextmanager
async def killed(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """The postmaster goes, and with it all that was not committed."""
    server = await _in_use(scene)
    await asyncio.sleep(dice.uniform(0, 2))
    await server.kill()
    yield


@asynccontextmanager
async def stopped(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """In good order, which ends every session; started again when the fault ends."""
    server = await _in_use(scene)
    await asyncio.to_thread(server.stop)
    try:
        await _away(server)
        yield
    finally:
        await asyncio.to_thread(server.start)
        await server.back()


@asynccontextmanager
async def paused(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """SIGSTOP of all its processes: connections are taken by the kernel, and nothing is ever answered."""
    server = await _in_use(scene)
    held = await asyncio.to_thread(server.hold)
    try:
        await _away(server)
        yield
    finally:
        server.release(held)


@asynccontextmanager
async def exhausted(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """Whoever connects is told that there are too many already, and nobody keeps the connection that he has."""
    server = await _in_use(scene)
    limit, none = "CONNECTION LIMIT 0", "CONNECTION LIMIT -1"
    async with _altered(server, tuple(DATABASES), limit, none, felt="too many connections"):
        yield


@asynccontextmanager
async def read_only(server: Postgresql, service: str) -> AsyncIterator[None]:
    """Every session from now on may only read; afterwards those that began meanwhile stay as they are."""
    setting = "default_transaction_read_only"
    felt = "in a read-only transaction"
    async with _altered(server, (service,), f"SET {setting} = on", f"RESET {setting}", felt=felt):
        yield


@asynccontextmanager
async def _altered(
    server: Postgresql, services: Sequence[str], change: str, back: str, *, felt: str
) -> AsyncIterator[None]:
    """The databases of these services, for sessions to come; ends when the server has said ``felt`` to one of them."""
    before = server.told(felt)
    async with server.session() as administrator:
        try:
            for service in services:
                await administrator.execute(f"ALTER DATABASE {DATABASES[service]} {change}")
                await _end_sessions(server, service)
            yield
            await until(lambda: server.told(felt) > before, _FELT_SECONDS, f"{felt!r} in PostgreSQL's log")
        finally:
            for service in services:
                await administrator.execute(f"ALTER DATABASE {DATABASES[service]} {back}")


@asynccontextmanager
async def locked(server: Postgresql, service: str) -> AsyncIterator[None]:
    """A long transaction of somebody else, in which every table is closed to writers; readers pass."""

    async def is_waited_for() -> bool:
        question = "SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"
        return bool(await server.ask(None, question, DATABASES[service]))

    async with server.session(service) as holder:
        rows = await holder.fetch("SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'")
        await holder.execute("BEGIN")
        await holder.execute(f"LOCK TABLE {', '.join(row['name'] for row in rows)} IN EXCLUSIVE MODE")
        waiting = asyncio.create_task(until(is_waited_for, _FELT_SECONDS, "somebody who waits for the lock"))
        try:
            yield
            await waiting
        finally:
            waiting.cancel()
            await holder.execute("ROLLBACK")


@asynccontextmanager
async def long_locked(scene: Scene, dice: Random, *, service: str) -> AsyncIterator[None]:
    """For longer than any statement waits."""
    if service == TOKEN_BROKER:
        await scene.sandbox.expire_tokens()
    async with locked(await _in_use(scene), service):
        yield


async def _end_sessions(server: Postgresql, service: str) -> None:
    question = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"
    await server.ask(None, question, DATABASES[service])


async def _in_use(scene: Scene) -> Postgresql:
    if not isinstance(scene.databases, Postgresql):
        raise Missed("there is no PostgreSQL")
    # Else the token-broker would have nothing to write.
    await scene.sandbox.expire_tokens()
    if not await scene.databases.sessions():
        raise Missed("nobody was connected to PostgreSQL")
    return scene.databases


async def _away(server: Postgresql) -> None:
    if await server.answers():
        raise Missed("PostgreSQL still answers")


_fault = partial(Fault, database="postgresql", loses_answers=True)

FAULTS = [
    _fault("postgresql-kill", killed, kills=1, short=True),
    _fault("postgresql-stopped", stopped, 12),
    _fault("postgresql-paused", paused, 15),
    _fault("postgresql-paused-long", paused, _LONGER_THAN_A_STATEMENT),
    _fault("postgresql-exhausted", exhausted, 10),
    _fault("ledger-locked-long", partial(long_locked, service=NOTIFIER), _LONGER_THAN_A_STATEMENT, loses_answers=False),
    _fault("tokens-locked-long", partial(long_locked, service=TOKEN_BROKER), _LONGER_THAN_A_STATEMENT),
]
