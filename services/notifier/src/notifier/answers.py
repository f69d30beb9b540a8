"""The operator's say in the ledger: why was this said or not, let what is held go, settle what is unknown."""

import re
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters.sql import from_stage, in_order, to_intent
from notifier.model import LEFT, Intent
from notifier.tables import decisions, intents, snapshots, tenants
from shared.contracts.messages import MessageState

WENT = frozenset(state.value for state in LEFT | {MessageState.FAILED})
"""States of a message that was tried and is not to be tried again by itself."""
_NUMBER = re.compile(r"\+?\d[\d\s().-]{5,}\d")


@dataclass(frozen=True, slots=True)
class Answer:
    """One candidate message: the last rule that decided, and where its message stands (None: there is none).

    ``statement_of`` is how many invoices its message told of, where that was a statement.
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

    def as_json(self) -> dict[str, Any]:
        """Stable keys; times and dates as ISO 8601."""
        return {key: value.isoformat() if isinstance(value, date) else value for key, value in asdict(self).items()}


async def why(engine: AsyncEngine, tenant_id: str, invoice: str | None = None) -> list[Answer]:
    """Every candidate of the organisation, or of one invoice by its id or number; the newest decision last."""
    same = [decisions.c[name] == intents.c[name] for name in ("tenant_id", "invoice_id", "kind", "stage")]
    question = (
        sa.select(
            decisions,
            intents.c.state,
            intents.c.reason,
            intents.c.due_at.label("leaves_at"),
            intents.c.changed_at,
            intents.c.statement_of,
            snapshots.c.body,
        )
        .outerjoin(intents, sa.and_(*same))
        .outerjoin(
            snapshots,
            sa.and_(snapshots.c.tenant_id == decisions.c.tenant_id, snapshots.c.invoice_id == decisions.c.invoice_id),
        )
        .where(decisions.c.tenant_id == tenant_id)
        .order_by(decisions.c.decided_at, decisions.c.invoice_number, decisions.c.stage)
    )
    if invoice is not None:
        question = question.where(sa.or_(decisions.c.invoice_id == invoice, decisions.c.invoice_number == invoice))
    async with engine.connect() as db:
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
        )
        for row in rows
    ]


def without_numbers(name: str) -> str:
    """The name, with any telephone number somebody wrote into it cut to its last digits."""
    return _NUMBER.sub(lambda number: f"…{number[0][-3:]}", name)


async def release(engine: AsyncEngine, tenant_id: str, now: datetime) -> int:
    """Let everything go that is held for the organisation; the last look is still taken. Returns how many."""
    async with engine.begin() as db:
        released = await db.execute(
            sa.update(intents)
            .where(intents.c.tenant_id == tenant_id, intents.c.state == MessageState.HELD.value)
            .values(state=MessageState.PLANNED.value, reason=None, released_at=now, changed_at=now)
        )
        # What is planned from now on is looked at afresh: the wave that pulled the brake was meant.
        await db.execute(sa.update(tenants).where(tenants.c.tenant_id == tenant_id).values(braked_at=None))
    return released.rowcount


async def unknown(engine: AsyncEngine, tenant_id: str, invoice: str | None = None) -> list[Answer]:
    """The messages that may or may not have been sent."""
    return [answer for answer in await why(engine, tenant_id, invoice) if answer.state == MessageState.UNKNOWN]


async def resend(engine: AsyncEngine, tenant_id: str, now: datetime, invoice: str | None = None) -> list[Intent]:
    """Plan unknown messages again, as a person decided; the last look is still taken and the reason stays until then.

    A status of the first attempt that comes meanwhile still settles the message.
    """
    return await _settle_unknown(
        engine, tenant_id, invoice, state=MessageState.PLANNED.value, due_at=now, released_at=now, changed_at=now
    )


async def close(engine: AsyncEngine, tenant_id: str, now: datetime, invoice: str | None = None) -> list[Intent]:
    """Give unknown messages up; a delivery that is reported later is still believed."""
    return await _settle_unknown(
        engine, tenant_id, invoice, state=MessageState.FAILED.value, reason="closed_by_person", changed_at=now
    )


async def _settle_unknown(engine: AsyncEngine, tenant_id: str, invoice: str | None, **values: object) -> list[Intent]:
    which = [intents.c.tenant_id == tenant_id, intents.c.state == MessageState.UNKNOWN.value]
    if invoice is not None:
        named = sa.or_(intents.c.invoice_id == invoice, intents.c.invoice_number == invoice)
        # One invoice of a statement stands for all of them: they went in one message.
        together = sa.select(intents.c.statement).where(*which, named, intents.c.statement.is_not(None))
        which.append(sa.or_(named, intents.c.statement.in_(together)))
    async with engine.begin() as db:
        rows = await db.execute(sa.update(intents).where(in_order(*which)).values(values).returning(intents))
        return sorted((to_intent(row) for row in rows), key=lambda intent: intent.invoice_number)
