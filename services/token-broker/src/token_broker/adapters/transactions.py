"""Transactions that carry the time all replicas agree on, and one error for a database that does not answer."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.errors import RetryableError
from shared.runtime.clock import Clock
from shared.runtime.database import UtcDateTime, for_reading

_PASSING_CLASSES = frozenset({"08", "40", "53", "57"})
"""Of PostgreSQL's error codes: connection, rollback of one of two, resources, and the operator (starting, stopping)."""
_UNREACHABLE = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError, OSError)


@dataclass(frozen=True)
class Transaction:
    connection: AsyncConnection
    now: datetime


class Database:
    """PostgreSQL's own clock judges claims and expiries, so that a replica whose clock is wrong does no harm.

    With SQLite every replica is on the same machine, and its clock serves.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._reading = for_reading(engine)
        self._clock = clock

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commit when the block ends well, else roll back.

        Raises:
            RetryableError: ``database_unavailable``; after a write, whether it was kept is unknown.
        """
        return self._begin(self._engine)

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that must not write. Raises as :meth:`transaction` does."""
        return self._begin(self._reading)

    @asynccontextmanager
    async def _begin(self, engine: AsyncEngine) -> AsyncIterator[Transaction]:
        try:
            async with engine.begin() as connection:
                yield Transaction(connection, await self._now(connection))
        except _UNREACHABLE as error:
            raise RetryableError("database_unavailable", type(error).__name__) from error
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated or _passes(error):
                raise RetryableError("database_unavailable", type(error).__name__) from error
            raise

    async def _now(self, connection: AsyncConnection) -> datetime:
        if connection.dialect.name != "postgresql":
            return self._clock()
        return (await connection.execute(sa.select(sa.func.clock_timestamp(type_=UtcDateTime)))).scalar_one()


def _passes(error: sa.exc.DBAPIError) -> bool:
    code = getattr(error.orig, "sqlstate", None)
    return isinstance(code, str) and code[:2] in _PASSING_CLASSES
