"""The real SQL of the stores on SQLite in memory, without threads: a transaction is one step of the test."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import StaticPool

from shared.errors import RetryableError
from token_broker.adapters.transactions import Database, Transaction
from token_broker.tables import metadata
from unit.token_broker.machine.gates import Gate, Outcome
from unit.token_broker.machine.stepped_loop import VirtualTime

NOON = datetime(2026, 6, 23, 12, 0, tzinfo=UTC)


@lru_cache
def memory() -> sa.Engine:
    """One for all examples: making it and compiling its statements costs more than an example."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    return engine


def forget_everything() -> None:
    with memory().begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))


def moment(time: VirtualTime) -> datetime:
    return NOON + timedelta(microseconds=time.micros)


def micros(stored: datetime) -> int:
    return (stored - NOON) // timedelta(microseconds=1)


class MemoryDatabase(Database):
    """Every transaction has a moment of its own, which orders them all."""

    def __init__(self, time: VirtualTime, gate: Gate, committed: Callable[[], None], fault: Callable[[], None]) -> None:
        self._time = time
        self._gate = gate
        self._committed = committed
        self._fault = fault
        self.label = "database"

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        label, self.label = self.label, "database"
        outcome = await self._gate(label)
        if outcome is Outcome.FAILED:
            self._fault()
            raise RetryableError("database_unavailable", "before")
        self._time.tick()
        with memory().begin() as connection:
            yield Transaction(cast(AsyncConnection, _AtOnce(connection)), moment(self._time))
        self._committed()
        if outcome is Outcome.UNHEARD:
            self._fault()
            raise RetryableError("database_unavailable", "after")
        if outcome is Outcome.LATE:
            await self._gate("database's answer")

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        return self.transaction()


class _AtOnce:
    """What the stores use of an AsyncConnection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect

    async def execute(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        return cast("sa.CursorResult[Any]", self._connection.execute(statement))


class GrantRow(NamedTuple):
    """A grant as it lies in the table; times in microseconds since noon."""

    id: str
    generation: int
    status: str
    access_token: str
    refresh_token: str
    expires: int
    claim: str | None
    claimed: int | None
    claim_until: int | None
    unknown_since: int | None
    not_before: int | None
    failures: int
    refusals: int


_TIMES = ("expires", "claimed", "claim_until", "unknown_since", "not_before")
_GRANTS = (
    "SELECT id, generation, status, access_token, refresh_token, expires_at, claim, claimed_at, claim_until,"
    " unknown_since, not_before, failures, refusals FROM grants ORDER BY id"
)
_CONNECTIONS = "SELECT tenant_id, grant_id, status, reason, announced_at FROM connections ORDER BY tenant_id"


class ConnectionRow(NamedTuple):
    tenant_id: str
    grant_id: str
    status: str
    reason: str
    announced_at: str | None


def raw_grants() -> Sequence[tuple[Any, ...]]:
    return _raw().execute(_GRANTS).fetchall()


def grant_row(raw: tuple[Any, ...]) -> GrantRow:
    values = dict(zip(GrantRow._fields, raw, strict=True))
    return GrantRow(**values | {name: _micros(values[name]) for name in _TIMES})


def stored_connections() -> list[ConnectionRow]:
    return [ConnectionRow(*row) for row in _raw().execute(_CONNECTIONS)]


def _raw() -> sqlite3.Connection:
    fairy = memory().raw_connection()
    return cast(sqlite3.Connection, fairy.driver_connection)


def _micros(text: str | None) -> int | None:
    return None if text is None else micros(datetime.fromisoformat(text).replace(tzinfo=UTC))
