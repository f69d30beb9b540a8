"""A person's word on what is held: let it go, or refuse it for good; who said so and when is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters.outbox import record_changes
from notifier.adapters.sql import to_intent
from notifier.model import REJECTED
from notifier.tables import approvals, decisions, intents, snapshots, tenants
from shared.contracts.messages import MessageState
from shared.runtime.database import for_reading

_LATEST = 10


@dataclass(frozen=True, slots=True)
class Which:
    """Of what an organisation holds: all, or of one invoice (id or number), or of one contact (id or name)."""

    tenant_id: str
    invoice: str | None = None
    contact: str | None = None

    @property
    def everything(self) -> bool:
        return self.invoice is None and self.contact is None


@dataclass(frozen=True, slots=True)
class Word:
    """How many messages somebody let go, or refused, at once."""

    released: bool
    messages: int
    said_by: str
    said_at: datetime


async def let_go(engine: AsyncEngine, which: Which, said_by: str, now: datetime) -> int:
    """The last look is still taken. Returns how many."""
    values = {"state": MessageState.PLANNED.value, "reason": None, "released_at": now, "changed_at": now}
    return await _say(engine, which, said_by, now, values, released=True)


async def refuse(engine: AsyncEngine, which: Which, said_by: str, now: datetime) -> int:
    """Cancelled, and never planned again for that stage. Returns how many."""
    values = {"state": MessageState.CANCELLED.value, "reason": REJECTED, "changed_at": now}
    return await _say(engine, which, said_by, now, values, released=False)


async def _say(
    engine: AsyncEngine, which: Which, said_by: str, now: datetime, values: Mapping[str, object], *, released: bool
) -> int:
    held = sa.and_(*_held(which))
    columns = ("intent_id", "tenant_id", "released", "reason", "said_by", "said_at")
    said = sa.select(
        intents.c.intent_id,
        intents.c.tenant_id,
        sa.literal(released, sa.Boolean()),
        intents.c.reason,
        sa.literal(said_by, sa.Text()),
        sa.literal(now, approvals.c.said_at.type),
    ).where(held)
    ours = tenants.c.tenant_id == which.tenant_id
    async with engine.begin() as db:
        # Nothing is held meanwhile that was not meant.
        await db.execute(sa.select(tenants.c.tenant_id).where(ours).with_for_update())
        if released and which.everything:
            # What is planned from now on is looked at afresh: the wave that pulled the brake was meant.
            await db.execute(sa.update(tenants).where(ours).values(braked_at=None))
        await db.execute(sa.insert(approvals).from_select(columns, said))
        if not released:
            same = [decisions.c[name] == intents.c[name] for name in ("tenant_id", "invoice_id", "kind", "stage")]
            refused = sa.exists().where(held, *same)
            news = {"verdict": "cancel", "rule": REJECTED, "decided_at": now}
            await db.execute(sa.update(decisions).where(refused).values(news))
        moved = [
            to_intent(row) for row in await db.execute(sa.update(intents).where(held).values(values).returning(intents))
        ]
        if not released:
            await record_changes(db, [intent.changed(intent.state, REJECTED, now) for intent in moved])
        return len(moved)


def _held(which: Which) -> list[sa.ColumnElement[bool]]:
    found = [intents.c.tenant_id == which.tenant_id, intents.c.state == MessageState.HELD.value]
    if which.invoice is not None:
        found.append(sa.or_(intents.c.invoice_id == which.invoice, intents.c.invoice_number == which.invoice))
    if which.contact is not None:
        named = sa.select(snapshots.c.invoice_id).where(
            snapshots.c.tenant_id == which.tenant_id,
            snapshots.c.body["contact"]["name"].as_string() == which.contact,
        )
        found.append(sa.or_(intents.c.contact_id == which.contact, intents.c.invoice_id.in_(named)))
    return found


async def words(engine: AsyncEngine, tenant_id: str) -> Sequence[Word]:
    """The latest, newest first."""
    columns = (approvals.c.released, approvals.c.said_by, approvals.c.said_at)
    latest = (
        sa.select(*columns, sa.func.count().label("messages"))
        .where(approvals.c.tenant_id == tenant_id)
        .group_by(*columns)
        .order_by(approvals.c.said_at.desc())
        .limit(_LATEST)
    )
    async with for_reading(engine).connect() as db:
        return [Word(row.released, row.messages, row.said_by, row.said_at) for row in await db.execute(latest)]
