"""How fast messages may leave: one number's pace, one recipient's spacing, and the day's different recipients."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters import prepared
from notifier.adapters.sql import upsert
from notifier.halts import CLAIM_SPACING
from notifier.model import CLOCKS_DIFFER
from notifier.ports import Pace, Turn, TurnKind
from notifier.tables import attempts, numbers

DAY = timedelta(days=1)
_AT_ONCE = timedelta(milliseconds=250)
"""How far a number may run ahead of its pace, so that small bursts need no waiting."""
_GO = Turn(TurnKind.GO)


async def take_turn(db: AsyncConnection, pace: Pace, phone: str, now: datetime) -> Turn:
    """Count a message to ``phone`` as leaving now, or say why it must not.

    The row of the sending number is locked first: two transactions never count at once, whoever they work for.
    """
    ours = {"the_number": pace.number}
    next_at = await db.scalar(prepared.pace_of(), ours)
    if next_at is None:
        start = upsert(db, numbers).values(number=pace.number, next_at=now)
        await db.execute(start.on_conflict_do_nothing(index_elements=["number"]))
        next_at = await db.scalar(prepared.pace_of(), ours) or now
    if next_at > now + _AT_ONCE + timedelta(seconds=1 / pace.per_second) + CLOCKS_DIFFER:
        # No message can have put it so far off: a clock that ran ahead did.
        next_at = now
    if next_at > now + _AT_ONCE:
        # Not as soon as one may leave, or each would be asked for among many in vain.
        return Turn(TurnKind.PACE, next_at - _AT_ONCE / 2)
    if pace.daily_recipients is not None and await _is_one_too_many(db, pace, pace.daily_recipients, phone, now):
        return Turn(TurnKind.TIER)
    # By one statement: another sending number may write to the same person now, and its row is no lock for this one's.
    free = await db.execute(
        prepared.write_to(db.dialect.name),
        {"phone": phone, "claimed_at": now, "spaced": now - CLAIM_SPACING, "ahead": now + CLOCKS_DIFFER},
    )
    if free.one_or_none() is None:
        last = await db.scalar(prepared.last_to(), {"the_phone": phone})
        return Turn(TurnKind.RECIPIENT, (last or now) + CLAIM_SPACING)
    next_at = max(next_at, now) + timedelta(seconds=1 / pace.per_second)
    await db.execute(prepared.set_pace(), {**ours, "next_at": next_at})
    return _GO


async def reached(db: AsyncConnection, pace: Pace, now: datetime) -> int:
    """How many different recipients the number wrote to within the last 24 hours."""
    within = sa.select(sa.func.count(attempts.c.phone.distinct())).where(*_lately(pace, now))
    return int(await db.scalar(within) or 0)


async def _is_one_too_many(db: AsyncConnection, pace: Pace, most: int, phone: str, now: datetime) -> bool:
    again = sa.select(sa.literal(1)).where(attempts.c.phone == phone, *_lately(pace, now)).limit(1)
    return await db.scalar(again) is None and await reached(db, pace, now) >= most


def _lately(pace: Pace, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return attempts.c.number == pace.number, attempts.c.started_at > now - DAY
