"""The kill switch in SQL: who paused or resumed what and when, the newest word on each scope counting."""

from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.breakers import open_breakers
from notifier.halts import Halts, Switch
from notifier.tables import switches


async def say(db: AsyncConnection, scope: str, *, paused: bool, said_by: str, now: datetime) -> bool:
    """Pause or resume ``scope``; False when it was so already."""
    was = any(switch.scope == scope for switch in await paused_by(db))
    if was is paused:
        return False
    await db.execute(sa.insert(switches).values(scope=scope, paused=paused, said_by=said_by, said_at=now))
    return True


async def paused_by(db: AsyncConnection) -> tuple[Switch, ...]:
    return tuple(Switch(row.scope, row.said_by, row.said_at) for row in await db.execute(_paused()))


@cache
def _paused() -> sa.Select[Any]:
    newest = sa.select(sa.func.max(switches.c.entry)).group_by(switches.c.scope).scalar_subquery()
    return sa.select(switches).where(switches.c.entry.in_(newest), switches.c.paused).order_by(switches.c.scope)


async def history(db: AsyncConnection, limit: int) -> list[tuple[Switch, bool]]:
    """The newest words, newest first, each with whether it paused."""
    rows = await db.execute(sa.select(switches).order_by(switches.c.entry.desc()).limit(limit))
    return [(Switch(row.scope, row.said_by, row.said_at), row.paused) for row in rows]


async def halts(db: AsyncConnection) -> Halts:
    return Halts(await paused_by(db), await open_breakers(db))


class HaltsInside:
    """The same as a transaction saw it first, however many messages it is about.

    Asked in the transaction of every claim: nothing is claimed later than what is read here, and so none after a pause.
    """

    def __init__(self, db: AsyncConnection) -> None:
        self._db = db
        self._seen: Halts | None = None

    async def __call__(self) -> Halts:
        if self._seen is None:
            self._seen = await halts(self._db)
        return self._seen

    def changed(self) -> None:
        """By this transaction."""
        self._seen = None
