"""Transactions that carry the time all replicas agree on, and one error for a database that does not answer."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.errors import RetryableError
from shared.runtime.clock import Clock
from shared.runtime.database import UtcDateTime, for_reading, is_outage

_ROLLBACK_OF_ONE_OF_TWO = "40"
"""The class of PostgreSQL's error codes."""


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
        except (sa.exc.SQLAlchemyError, OSError) as error:
            if is_outage(error) or _passes(error):
                raise RetryableError("database_unavailable", type(error).__name__) from error
            raise

    async def _now(self, connection: AsyncConnection) -> datetime:
        if connection.dialect.name != "postgresql":
            return self._clock()
        return (await connection.execute(sa.select(sa.func.clock_timestamp(type_=UtcDateTime)))).scalar_one()


def _passes(error: BaseException) -> bool:
    code = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(code, str) and code[:2] == _ROLLBACK_OF_ONE_OF_TWO
