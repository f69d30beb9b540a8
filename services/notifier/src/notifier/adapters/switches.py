"""The kill switch in SQL: who paused or resumed what and when, the newest word on each scope counting."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.breakers import open_breakers
from notifier.halts import EVERYTHING, Halts, Switch
from notifier.tables import switches


async def say(db: AsyncConnection, scope: str, *, paused: bool, said_by: str, now: datetime) -> bool:
    """Pause or resume ``scope``; False when it was so already."""
    was = any(switch.scope == scope for switch in await paused_by(db))
    if was is paused:
        return False
    await db.execute(sa.insert(switches).values(scope=scope, paused=paused, said_by=said_by, said_at=now))
    return True


async def paused_by(db: AsyncConnection) -> tuple[Switch, ...]:
    newest = sa.select(sa.func.max(switches.c.entry)).group_by(switches.c.scope).scalar_subquery()
    rows = await db.execute(
        sa.select(switches).where(switches.c.entry.in_(newest), switches.c.paused).order_by(switches.c.scope)
    )
    return tuple(Switch(row.scope, row.said_by, row.said_at) for row in rows)


async def history(db: AsyncConnection, limit: int) -> list[tuple[Switch, bool]]:
    """The newest words, newest first, each with whether it paused."""
    rows = await db.execute(sa.select(switches).order_by(switches.c.entry.desc()).limit(limit))
    return [(Switch(row.scope, row.said_by, row.said_at), row.paused) for row in rows]


async def is_paused(db: AsyncConnection, tenant_id: str) -> bool:
    """Asked in the transaction of every claim, so that nothing is claimed after a pause was committed."""
    newest = (
        sa.select(switches.c.scope, sa.func.max(switches.c.entry).label("entry"))
        .where(switches.c.scope.in_([EVERYTHING, tenant_id]))
        .group_by(switches.c.scope)
        .subquery()
    )
    found = await db.scalar(
        sa.select(sa.literal(1))
        .select_from(switches.join(newest, switches.c.entry == newest.c.entry))
        .where(switches.c.paused)
        .limit(1)
    )
    return found is not None


async def halts(db: AsyncConnection) -> Halts:
    return Halts(await paused_by(db), await open_breakers(db))
