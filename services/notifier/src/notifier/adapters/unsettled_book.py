"""Messages whose end nobody knows, in SQL."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters.outbox import record_changes
from notifier.adapters.sql import to_intent, to_stage
from notifier.model import Decision, Intent, Snapshot
from notifier.tables import TRIED_AGAIN, attempts, decisions, intents, snapshots, statement_intents
from notifier.unsettled import PATIENCE, Heard, Unanswered, Unsettled
from shared.contracts.messages import MessageKind, MessageState
from shared.runtime.database import for_reading

_NEWEST = 20
_UNKNOWN = intents.c.state == MessageState.UNKNOWN.value
ARRIVED = sa.and_(
    attempts.c.failed_at.is_(None), sa.or_(attempts.c.heard_at.is_not(None), attempts.c.outcome == "accepted")
)
"""Of an attempt: WhatsApp took it, by its answer or by a status, and has not said since that it failed."""


def copies() -> sa.ScalarSelect[int]:
    """How many attempts of an intent arrived, alone or in a statement, beside a query of intents."""
    alone = sa.select(attempts.c.reference).where(attempts.c.intent_id == intents.c.intent_id)
    together = sa.select(statement_intents.c.reference).where(statement_intents.c.intent_id == intents.c.intent_id)
    its = alone.correlate(intents).union(together.correlate(intents))
    return (
        sa.select(sa.func.count()).select_from(attempts).where(attempts.c.reference.in_(its), ARRIVED).scalar_subquery()
    )


class SqlUnsettledBook:
    """See :class:`notifier.unsettled.UnsettledBook`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = for_reading(engine)

    async def unsettled(self) -> Unsettled:
        unknown = sa.select(sa.func.count(), sa.func.min(intents.c.claimed_at)).where(_UNKNOWN)
        doubled = sa.select(sa.func.count()).select_from(intents).where(TRIED_AGAIN, copies() > 1)
        async with self._reading.connect() as db:
            messages, oldest_at = (await db.execute(unknown)).one()
            return Unsettled(messages, oldest_at, int(await db.scalar(doubled) or 0))

    async def unanswered(self, started_before: datetime, wanted: Callable[[str], bool]) -> Sequence[Unanswered]:
        same_invoice = (snapshots.c.tenant_id == intents.c.tenant_id) & (snapshots.c.invoice_id == intents.c.invoice_id)
        question = (
            sa.select(intents, snapshots.c.body, attempts.c.number, attempts.c.started_at)
            .join(snapshots, same_invoice)
            # The last attempt is the one that began with the claim.
            .join(
                attempts,
                (attempts.c.intent_id == intents.c.intent_id) & (attempts.c.started_at == intents.c.claimed_at),
            )
            .where(
                _UNKNOWN,
                intents.c.kind == MessageKind.ISSUED.value,
                intents.c.resent_at.is_(None),
                attempts.c.started_at <= started_before,
            )
            .order_by(attempts.c.started_at)
        )
        async with self._reading.connect() as db:
            rows = [row for row in await db.execute(question) if wanted(row.tenant_id)]
            return [await _told_of(db, row) for row in rows]

    async def send_again(self, intent: Intent, decision: Decision, now: datetime) -> bool:
        """One statement decides: whoever settles or sends it meanwhile was first."""
        async with self._engine.begin() as db:
            planned = await db.execute(
                sa.update(intents)
                .where(intents.c.intent_id == intent.intent_id, _UNKNOWN, intents.c.resent_at.is_(None))
                .values(
                    state=MessageState.PLANNED.value,
                    resent_at=now,
                    due_at=now,
                    changed_at=now,
                    looks=0,
                    look_after=None,
                )
            )
            if planned.rowcount == 0:
                return False
            await db.execute(
                sa.update(decisions)
                .where(
                    decisions.c.tenant_id == intent.tenant_id,
                    decisions.c.invoice_id == intent.invoice_id,
                    decisions.c.kind == intent.kind.value,
                    decisions.c.stage == to_stage(intent.stage),
                )
                .values(verdict=decision.verdict.value, rule=decision.rule, due_at=now, decided_at=now)
            )
            await record_changes(db, [intent.changed(MessageState.PLANNED, intent.reason, now)])
        return True


async def _told_of(db: AsyncConnection, row: sa.Row[Any]) -> Unanswered:
    number = attempts.c.number == row.number
    later = await db.execute(
        sa.select(attempts.c.started_at, attempts.c.heard_at)
        .where(number, attempts.c.started_at > row.started_at, attempts.c.heard_at >= row.started_at + PATIENCE)
        .order_by(attempts.c.started_at.desc())
        .limit(_NEWEST)
    )
    silent = sa.select(sa.func.count()).where(
        number,
        attempts.c.started_at.between(row.started_at - PATIENCE, row.started_at + PATIENCE),
        attempts.c.outcome == "accepted",
        attempts.c.heard_at.is_(None),
    )
    return Unanswered(
        to_intent(row),
        Snapshot.model_validate(row.body),
        row.started_at,
        resent=row.resent_at is not None,
        later=[Heard(item.started_at, item.heard_at) for item in later],
        silent=int(await db.scalar(silent) or 0),
    )
