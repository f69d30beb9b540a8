"""The operator's say in the ledger: why was this said or not, let what is held go, settle what is unknown."""

import re
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters.outbox import record_changes
from notifier.adapters.sql import from_stage, in_order, to_intent
from notifier.adapters.unsettled_book import copies
from notifier.approvals import Which, let_go
from notifier.model import CLOSED_BY_PERSON, LEFT, Intent
from notifier.tables import attempts, decisions, intents, snapshots
from shared.contracts.messages import MessageState
from shared.runtime.database import for_reading

WENT = frozenset(state.value for state in LEFT | {MessageState.FAILED})
"""States of a message that was tried and is not to be tried again by itself."""
_NUMBER = re.compile(r"\+?\d[\d\s().-]{5,}\d")


@dataclass(frozen=True, slots=True)
class Answer:
    """One candidate message: the last rule that decided, and where its message stands (None: there is none).

    ``statement_of`` is how many invoices its message told of, where that was a statement; ``copies`` how many times
    WhatsApp took it; ``resent_at`` when it was last sent again for want of an end.
    """

    invoice_id: str
    invoice_number: str
    contact_id: str
    contact_name: str | None
    kind: str
    stage: int | None
    due_on: date | None
    verdict: str
    rule: str
    decided_at: datetime
    state: str | None
    reason: str | None
    due_at: datetime | None
    changed_at: datetime | None
    statement_of: int | None = None
    resent_at: datetime | None = None
    copies: int = 0
    cost: Decimal | None = None
    currency: str | None = None
    error: str | None = None
    """All that WhatsApp says of why its last attempt failed."""

    def as_json(self) -> dict[str, Any]:
        """Stable keys; times and dates as ISO 8601, money as text."""
        return {key: _as_json(value) for key, value in asdict(self).items()}


def _as_json(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


async def why(engine: AsyncEngine, tenant_id: str, invoice: str | None = None) -> list[Answer]:
    """Every candidate of the organisation, or of one invoice by its id or number; the newest decision last."""
    same = [decisions.c[name] == intents.c[name] for name in ("tenant_id", "invoice_id", "kind", "stage")]
    paid = (
        sa.select(
            attempts.c.intent_id,
            sa.func.sum(attempts.c.cost).label("cost"),
            sa.func.max(attempts.c.currency).label("currency"),
        )
        .where(attempts.c.tenant_id == tenant_id)
        .group_by(attempts.c.intent_id)
        .subquery()
    )
    last = (
        sa.select(attempts.c.details)
        .where(attempts.c.intent_id == intents.c.intent_id)
        .order_by(attempts.c.started_at.desc())
        .limit(1)
        .correlate(intents)
    )
    question = (
        sa.select(
            decisions,
            intents.c.state,
            intents.c.reason,
            intents.c.due_at.label("leaves_at"),
            intents.c.changed_at,
            intents.c.statement_of,
            intents.c.resent_at,
            copies().label("copies"),
            snapshots.c.body,
            paid.c.cost,
            paid.c.currency,
            last.scalar_subquery().label("error"),
        )
        .outerjoin(intents, sa.and_(*same))
        .outerjoin(
            snapshots,
            sa.and_(snapshots.c.tenant_id == decisions.c.tenant_id, snapshots.c.invoice_id == decisions.c.invoice_id),
        )
        .outerjoin(paid, paid.c.intent_id == intents.c.intent_id)
        .where(decisions.c.tenant_id == tenant_id)
        .order_by(decisions.c.decided_at, decisions.c.invoice_number, decisions.c.stage)
    )
    if invoice is not None:
        question = question.where(sa.or_(decisions.c.invoice_id == invoice, decisions.c.invoice_number == invoice))
    async with for_reading(engine).connect() as db:
        rows = (await db.execute(question)).all()
    return [
        Answer(
            invoice_id=row.invoice_id,
            invoice_number=row.invoice_number,
            contact_id=row.contact_id,
            contact_name=without_numbers(row.body["contact"]["name"]) if row.body else None,
            kind=row.kind,
            stage=from_stage(row.stage),
            due_on=row.due_on,
            verdict=row.verdict,
            rule=row.rule,
            decided_at=row.decided_at,
            state=row.state,
            reason=row.reason,
            due_at=row.leaves_at,
            changed_at=row.changed_at,
            statement_of=row.statement_of if row.state in WENT else None,
            resent_at=row.resent_at,
            copies=row.copies,
            cost=row.cost,
            currency=row.currency,
            error=without_numbers(row.error) if row.error else None,
        )
        for row in rows
    ]


def without_numbers(name: str) -> str:
    """The name, with any telephone number somebody wrote into it cut to its last digits."""
    return _NUMBER.sub(lambda number: f"…{number[0][-3:]}", name)


async def release(engine: AsyncEngine, tenant_id: str, now: datetime, said_by: str = "somebody") -> int:
    """Let everything go that is held for the organisation; the last look is still taken. Returns how many."""
    return await let_go(engine, Which(tenant_id), said_by, now)


async def held(engine: AsyncEngine, tenant_id: str) -> list[Answer]:
    """The messages that wait for a person, those that wait longest first."""
    waiting = [answer for answer in await why(engine, tenant_id) if answer.state == MessageState.HELD]
    return sorted(waiting, key=lambda answer: answer.changed_at or answer.decided_at)


async def unknown(engine: AsyncEngine, tenant_id: str, invoice: str | None = None) -> list[Answer]:
    """The messages that may or may not have been sent."""
    return [answer for answer in await why(engine, tenant_id, invoice) if answer.state == MessageState.UNKNOWN]


async def resend(engine: AsyncEngine, tenant_id: str, now: datetime, invoice: str | None = None) -> list[Intent]:
    """Plan unknown messages again, as a person decided; the last look is still taken and the reason stays until then.

    A status of the first attempt that comes meanwhile still settles it. It is never sent again by itself afterwards.
    """
    again = {"due_at": now, "released_at": now, "resent_at": now}
    return await _settle_unknown(engine, tenant_id, now, invoice, state=MessageState.PLANNED.value, **again)


async def close(engine: AsyncEngine, tenant_id: str, now: datetime, invoice: str | None = None) -> list[Intent]:
    """Give unknown messages up; a delivery that is reported later is still believed."""
    return await _settle_unknown(
        engine, tenant_id, now, invoice, state=MessageState.FAILED.value, reason=CLOSED_BY_PERSON
    )


async def _settle_unknown(
    engine: AsyncEngine, tenant_id: str, now: datetime, invoice: str | None, **values: object
) -> list[Intent]:
    which = [intents.c.tenant_id == tenant_id, intents.c.state == MessageState.UNKNOWN.value]
    if invoice is not None:
        named = sa.or_(intents.c.invoice_id == invoice, intents.c.invoice_number == invoice)
        # One invoice of a statement stands for all of them: they went in one message.
        together = sa.select(intents.c.statement).where(*which, named, intents.c.statement.is_not(None))
        which.append(sa.or_(named, intents.c.statement.in_(together)))
    async with engine.begin() as db:
        chosen = sa.update(intents).where(in_order(*which)).values(changed_at=now, **values).returning(intents)
        settled = [to_intent(row) for row in await db.execute(chosen)]
        await record_changes(db, [intent.changed(intent.state, intent.reason, now) for intent in settled])
    return sorted(settled, key=lambda intent: intent.invoice_number)
