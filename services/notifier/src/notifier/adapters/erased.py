"""The erased persons in SQL: asked in the transactions that would keep a person's data."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters.sql import upsert
from notifier.model import ERASED
from notifier.persons import Persons
from notifier.tables import attempts, erased
from shared.errors import ConfigurationError
from shared.runtime.database import for_reading

_LOCK = 0x65726173
"""PostgreSQL's name of the lock between an erasure and what keeps words of persons without any other."""


async def let_lessons_end(db: AsyncConnection) -> None:
    """Before a person is remembered: whoever asked ``is_to_be_kept_out`` before ends first, later ones see it.

    SQLite has one writer at a time in any case.
    """
    if db.dialect.name == "postgresql":
        await db.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


async def is_to_be_kept_out(db: AsyncConnection, names: Collection[str]) -> bool:
    """As ``are_erased``, and until this transaction ends nobody else is remembered. Asked before any row is locked."""
    if db.dialect.name == "postgresql":
        await db.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_LOCK)))
    return await are_erased(db, names)


async def are_erased(db: AsyncConnection, names: Collection[str]) -> bool:
    """Whether one of these hashes is an erased person's."""
    if not names:
        return False
    return await db.scalar(sa.select(sa.literal(1)).where(erased.c.person.in_(names)).limit(1)) is not None


async def remember(db: AsyncConnection, persons: Persons, names: Sequence[str], erasure: str, now: datetime) -> None:
    for name in names:
        insert = upsert(db, erased).values(person=name, erasure=erasure, key_print=persons.key_print, erased_at=now)
        await db.execute(insert.on_conflict_do_nothing(index_elements=["person"]))


async def readmit(db: AsyncConnection, names: Sequence[str]) -> int:
    """Forget that a person was erased, under whatever name; how many hashes that were."""
    same = sa.select(erased.c.erasure).where(erased.c.person.in_(names))
    return (await db.execute(sa.delete(erased).where(erased.c.erasure.in_(same)))).rowcount


async def check_key(engine: AsyncEngine, persons: Persons | None) -> None:
    """Raises ConfigurationError when erased persons could not be known again with this key."""
    prints = sa.select(erased.c.key_print).distinct()
    async with for_reading(engine).connect() as db:
        known = set(await db.scalars(prints))
    if known - ({persons.key_print} if persons else set()):
        raise ConfigurationError("DUEBELL_ERASURE_KEY is not the one that persons were erased with; give that one")


def unless_erased(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """``value`` for an attempt's column, unless its person was erased meanwhile."""
    return sa.case((attempts.c.phone == ERASED, sa.null()), else_=value)
