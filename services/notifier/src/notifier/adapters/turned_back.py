"""Once a clock that was ahead is right again: what was put off in its time may leave, and is looked at anew before."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.sql import in_order
from notifier.halts import PROBE_PATIENCE
from notifier.learning_tables import confirmations
from notifier.links import LINK_PATIENCE
from notifier.looks import LOOKS, patience
from notifier.model import CLOCKS_DIFFER
from notifier.tables import breakers, intents
from shared.contracts.messages import MessageState

_PLANNED, _SENDING = MessageState.PLANNED.value, MessageState.SENDING.value


async def believe_nothing_ahead(db: AsyncConnection, now: datetime) -> None:
    """Whatever was written later than now is put right; how far the clock was ahead need not be known.

    A message becomes due at once: its last look keeps it back again where hours or a template do.
    """
    ahead = now + CLOCKS_DIFFER
    planned = intents.c.state == _PLANNED
    due = {"due_at": now, "looks": 0, "look_after": None, "link_until": None, "changed_at": now}
    await db.execute(sa.update(intents).where(in_order(planned, intents.c.changed_at > ahead)).values(due))
    unasked = sa.or_(*(_asked(looks) & (intents.c.look_after > _answered(ahead, looks)) for looks in range(LOOKS + 1)))
    await db.execute(sa.update(intents).where(in_order(planned, unasked)).values(looks=0, look_after=None))
    linked = intents.c.link_until > ahead + LINK_PATIENCE
    await db.execute(sa.update(intents).where(in_order(planned, linked)).values(link_until=None))
    # Whoever sends it may be gone, and it would be called unknown no sooner than the clock had got there.
    sending = in_order(intents.c.state == _SENDING, intents.c.claimed_at > ahead)
    await db.execute(sa.update(intents).where(sending).values(claimed_at=now))
    probed = breakers.c.probe.is_not(None) & (breakers.c.probe_at > ahead + PROBE_PATIENCE)
    opened = sa.or_(probed, breakers.c.opened_at > ahead)
    await db.execute(sa.update(breakers).where(opened).values(opened_at=now, probe_at=now))
    late = confirmations.c.changed_at > ahead
    await db.execute(sa.update(confirmations).where(late, confirmations.c.state == _PLANNED).values(due_at=now))
    await db.execute(sa.update(confirmations).where(late, confirmations.c.state == _SENDING).values(claimed_at=now))


def _asked(looks: int) -> sa.ColumnElement[bool]:
    return intents.c.looks == looks


def _answered(ahead: datetime, looks: int) -> datetime:
    """The latest moment for which somebody who has asked so often can be waiting."""
    return ahead + max(patience(max(looks - 1, 0)), LINK_PATIENCE)
