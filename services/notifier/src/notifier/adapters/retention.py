"""Removes in SQL what is over. Intents stay: by their keys nothing is ever said twice; so do wishes and the erased."""

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters.brake import USUAL_DAYS
from notifier.learning_tables import confirmations, replies
from notifier.retention import Limits
from notifier.tables import (
    approvals,
    attempts,
    day_plans,
    decisions,
    early_statuses,
    intents,
    recipients,
    sent_hours,
    snapshots,
)
from shared.contracts.messages import MessageState
from shared.runtime.database import for_reading

_SETTLED = ("PAID", "VOIDED", "DELETED")
_AT_ITS_END = sorted(
    state.value
    for state in (
        MessageState.ACCEPTED,
        MessageState.SENT,
        MessageState.DELIVERED,
        MessageState.READ,
        MessageState.FAILED,
        MessageState.SUPPRESSED,
        MessageState.CANCELLED,
    )
)
_EARLY = timedelta(days=2)
_PACE = timedelta(days=2)
_HOURS = timedelta(days=USUAL_DAYS + 7)


class SqlRetention:
    """See :class:`notifier.retention.Removes`. Snapshots go before the decisions that explain them."""

    kinds: Collection[str] = (
        "snapshots",
        "decisions",
        "attempts",
        "numbers",
        "approvals",
        "plans",
        "hours",
        "paces",
        "early_statuses",
        "replies",
        "confirmations",
    )

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = for_reading(engine)

    async def remove(self, kind: str, limits: Limits, now: datetime, most: int) -> int:
        table, condition = _over(limits, now)[kind]
        over = sa.and_(condition, *_of(table, limits))
        keys = list(table.primary_key.columns)
        chosen = sa.select(*keys).where(over).limit(most)
        async with self._reading.connect() as db:
            # Looked for outside the transaction: most often there is nothing to write.
            found = [tuple(row) for row in await db.execute(chosen)]
        if not found:
            return 0
        # Judged once more inside: what has come to life meanwhile stays.
        which = sa.and_(sa.tuple_(*keys).in_(found), over)
        async with self._engine.begin() as db:
            if kind == "numbers":
                return (await db.execute(sa.update(table).where(which).values(phone=None))).rowcount
            return (await db.execute(sa.delete(table).where(which))).rowcount


def _over(limits: Limits, now: datetime) -> dict[str, tuple[sa.Table, sa.ColumnElement[bool]]]:
    """Of each kind its table and which of its rows are over."""
    same_invoice = [snapshots.c.tenant_id == intents.c.tenant_id, snapshots.c.invoice_id == intents.c.invoice_id]
    alive = sa.exists().where(*same_invoice, intents.c.state.not_in(_AT_ITS_END))
    settled = snapshots.c.body["invoice"]["status"].as_string().in_(_SETTLED)
    kept = sa.exists().where(
        snapshots.c.tenant_id == decisions.c.tenant_id, snapshots.c.invoice_id == decisions.c.invoice_id
    )
    at_its_end = intents.c.state.in_(_AT_ITS_END)
    ended = sa.exists().where(intents.c.intent_id == attempts.c.intent_id, at_its_end)
    silent = sa.and_(intents.c.changed_at < limits.attempts, intents.c.phone.is_not(None), at_its_end)
    return {
        "snapshots": (snapshots, sa.and_(snapshots.c.read_at < limits.snapshots, settled, sa.not_(alive))),
        "decisions": (decisions, sa.and_(decisions.c.decided_at < limits.decisions, sa.not_(kept))),
        "attempts": (attempts, sa.and_(attempts.c.started_at < limits.attempts, ended)),
        "numbers": (intents, silent),
        "approvals": (approvals, approvals.c.said_at < limits.decisions),
        "plans": (day_plans, day_plans.c.ends_at < limits.plans),
        "hours": (sent_hours, sent_hours.c.hour < now - _HOURS),
        "paces": (recipients, recipients.c.claimed_at < now - _PACE),
        "early_statuses": (early_statuses, early_statuses.c.received_at < now - _EARLY),
        "replies": (replies, replies.c.replied_at < limits.attempts),
        "confirmations": (confirmations, confirmations.c.changed_at < limits.attempts),
    }


def _of(table: sa.Table, limits: Limits) -> list[sa.ColumnElement[bool]]:
    if "tenant_id" not in table.c:
        return []
    if limits.only is not None:
        return [table.c.tenant_id == limits.only]
    return [table.c.tenant_id.not_in(sorted(limits.but))] if limits.but else []
