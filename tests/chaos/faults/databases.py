"""The services' own databases: somebody else holds the lock, or nothing can be written any more."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from random import Random

from chaos.databases import NOTIFIER, TOKEN_BROKER, Postgresql, SqliteFiles
from chaos.faults import postgresql
from chaos.faults.fault import Fault, Missed
from chaos.scene import Scene
from chaos.small_disk import fill


@asynccontextmanager
async def locked(scene: Scene, dice: Random, *, service: str) -> AsyncIterator[None]:
    """A foreign process holds the write lock; on SQLite for longer than anybody waits for it."""
    if service == TOKEN_BROKER:
        await scene.sandbox.expire_tokens()
    if isinstance(scene.databases, Postgresql):
        async with postgresql.locked(scene.databases, service):
            yield
        return
    with closing(
        sqlite3.connect(_files(scene).file(service), timeout=20, isolation_level=None, check_same_thread=False)
    ) as db:
        await asyncio.to_thread(db.execute, "BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            db.execute("ROLLBACK")


@asynccontextmanager
async def unwritable(scene: Scene, dice: Random, *, service: str) -> AsyncIterator[None]:
    """Every write of the process to any file fails at once, as on a disk that was mounted read-only.

    PostgreSQL refuses to write, as a server does that has become a standby.
    """
    if service == TOKEN_BROKER:
        await scene.sandbox.expire_tokens()
    if isinstance(scene.databases, Postgresql):
        async with postgresql.read_only(scene.databases, service):
            yield
        return
    pid = scene.pid(service)
    if not pid:
        raise Missed(f"{service} does not run")
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        # One that ended meanwhile has a successor without the limit.
        if scene.pid(service) == pid:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@asynccontextmanager
async def full(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """Both databases lie on a disk without a free byte."""
    data = _files(scene).file(NOTIFIER).parent
    if not data.is_mount():
        raise Missed("the databases have no disk of their own")
    ballast = await asyncio.to_thread(fill, data)
    try:
        yield
    finally:
        ballast.unlink()


def _files(scene: Scene) -> SqliteFiles:
    if not isinstance(scene.databases, SqliteFiles):
        raise Missed("the databases are no files")
    return scene.databases


FAULTS = [
    Fault("ledger-locked", partial(locked, service=NOTIFIER), 14),
    Fault("ledger-unwritable", partial(unwritable, service=NOTIFIER), 10),
    Fault("tokens-locked", partial(locked, service=TOKEN_BROKER), 14, loses_answers=True),
    Fault("tokens-unwritable", partial(unwritable, service=TOKEN_BROKER), 10, loses_answers=True),
    Fault("disk-full", full, 15, loses_answers=True, small_disk=True, database="sqlite"),
]
