"""Why what is due does not leave while the number has written to as many different people as a day allows."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.pacing import DAY
from notifier.adapters.queue import share_of_sender
from notifier.halts import DAILY_RECIPIENTS
from notifier.model import Verdict
from notifier.ports import Pace
from notifier.senders import Share
from notifier.tables import attempts, decisions, intents
from shared.contracts.messages import MessageState

AT_ONCE = 200
_KEY = ("tenant_id", "invoice_id", "kind", "stage")


async def note_tier(db: AsyncConnection, pace: Pace, now: datetime, share: Share) -> int:
    """Of some at a time; whoever asks again finds the rest."""
    reached_already = sa.exists().where(
        attempts.c.phone == intents.c.phone, attempts.c.started_at > now - DAY, attempts.c.number == pace.number
    )
    waits = sa.select(*(decisions.c[name] for name in _KEY)).where(
        *(decisions.c[name] == intents.c[name] for name in _KEY),
        intents.c.state == MessageState.PLANNED.value,
        intents.c.due_at <= now,
        sa.not_(reached_already),
        decisions.c.rule != DAILY_RECIPIENTS,
        *([] if share.is_everything else [share_of_sender(pace.sender, share)]),
    )
    # Whoever holds one of the rows decides about it anew: there is nothing to wait for.
    rows = (await db.execute(waits.limit(AT_ONCE).with_for_update(of=decisions, skip_locked=True))).all()
    this = [decisions.c[name] == sa.bindparam(f"the_{name}") for name in _KEY]
    told = {"verdict": Verdict.POSTPONE.value, "rule": DAILY_RECIPIENTS, "due_at": None, "decided_at": now}
    if rows:
        keys = [{f"the_{name}": value for name, value in row._mapping.items()} for row in rows]
        await db.execute(sa.update(decisions).where(*this).values(told), keys)
    return len(rows)
