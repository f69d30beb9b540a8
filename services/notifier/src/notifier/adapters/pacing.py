"""How fast messages may leave: one number's pace, one recipient's spacing, and the day's different recipients."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.sql import upsert
from notifier.halts import CLAIM_SPACING
from notifier.ports import Pace, Turn, TurnKind
from notifier.tables import attempts, numbers, recipients

DAY = timedelta(days=1)
_AT_ONCE = timedelta(milliseconds=250)
"""How far a number may run ahead of its pace, so that small bursts need no waiting."""
_GO = Turn(TurnKind.GO)


async def take_turn(db: AsyncConnection, pace: Pace, phone: str, now: datetime) -> Turn:
    """Count a message to ``phone`` as leaving now, or say why it must not.

    The row of the sending number is locked first: two transactions never count at once, whoever they work for.
    """
    ours = numbers.c.number == pace.number
    locked = sa.select(numbers.c.next_at).where(ours).with_for_update()
    next_at = await db.scalar(locked)
    if next_at is None:
        start = upsert(db, numbers).values(number=pace.number, next_at=now)
        await db.execute(start.on_conflict_do_nothing(index_elements=["number"]))
        next_at = await db.scalar(locked) or now
    if next_at > now + _AT_ONCE:
        return Turn(TurnKind.PACE, next_at - _AT_ONCE)
    last = await db.scalar(sa.select(recipients.c.claimed_at).where(recipients.c.phone == phone))
    if last is not None and last + CLAIM_SPACING > now:
        return Turn(TurnKind.RECIPIENT, last + CLAIM_SPACING)
    if pace.daily_recipients is not None and await _is_one_too_many(db, pace, pace.daily_recipients, phone, now):
        return Turn(TurnKind.TIER)
    await db.execute(
        sa.update(numbers).where(ours).values(next_at=max(next_at, now) + timedelta(seconds=1 / pace.per_second))
    )
    claimed = upsert(db, recipients).values(phone=phone, claimed_at=now)
    # Another sending number may have written to the same person meanwhile: its row is no lock for this one's.
    free = recipients.c.claimed_at <= now - CLAIM_SPACING
    won = await db.execute(
        claimed.on_conflict_do_update(index_elements=["phone"], set_={"claimed_at": now}, where=free).returning(
            recipients.c.phone
        )
    )
    return _GO if won.one_or_none() else Turn(TurnKind.RECIPIENT, now + CLAIM_SPACING)


async def reached(db: AsyncConnection, pace: Pace, now: datetime) -> int:
    """How many different recipients the number wrote to within the last 24 hours."""
    within = sa.select(sa.func.count(attempts.c.phone.distinct())).where(*_lately(pace, now))
    return int(await db.scalar(within) or 0)


async def _is_one_too_many(db: AsyncConnection, pace: Pace, most: int, phone: str, now: datetime) -> bool:
    again = sa.select(sa.literal(1)).where(attempts.c.phone == phone, *_lately(pace, now)).limit(1)
    return await db.scalar(again) is None and await reached(db, pace, now) >= most


def _lately(pace: Pace, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return attempts.c.number == pace.number, attempts.c.started_at > now - DAY
