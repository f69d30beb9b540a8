"""Reads what a forecast of one organisation needs; it writes nothing and locks nobody."""

import asyncio
from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.brake import busiest_hour
from notifier.adapters.sql import LEFT_STATES, to_intent
from notifier.adapters.switches import halts
from notifier.forecast_book import Facts
from notifier.model import MONTH, PENDING, Snapshot, Tenant
from notifier.tables import intents, opt_outs, snapshots, tenants
from shared.contracts.messages import MessageKind

_PENDING = sorted(state.value for state in PENDING)
_OWED = "AUTHORISED"


async def facts(db: AsyncConnection, tenant_id: str, now: datetime) -> Facts | None:
    """None for an organisation that was never heard of."""
    tenant = (await db.execute(sa.select(tenants).where(tenants.c.tenant_id == tenant_id))).one_or_none()
    if tenant is None:
        return None
    ours = snapshots.c.tenant_id == tenant_id
    waiting = sa.select(intents.c.invoice_id).where(intents.c.tenant_id == tenant_id, intents.c.state.in_(_PENDING))
    wanted = sa.or_(snapshots.c.body["invoice"]["status"].as_string() == _OWED, snapshots.c.invoice_id.in_(waiting))
    # As text: a large book is read in a thread of its own, and messages go on leaving meanwhile.
    bodies = list(await db.scalars(sa.select(sa.cast(snapshots.c.body, sa.Text)).where(ours, wanted)))
    everything = await db.scalar(sa.select(sa.func.count()).select_from(snapshots).where(ours))
    known = await asyncio.to_thread(_read, bodies)
    of_those = sa.select(snapshots.c.invoice_id).where(ours, wanted)
    counted = sa.and_(
        intents.c.kind == MessageKind.REMINDER.value,
        intents.c.state.in_(LEFT_STATES),
        intents.c.claimed_at > now - MONTH,
    )
    rows = (
        await db.execute(
            sa.select(intents)
            .where(intents.c.tenant_id == tenant_id, sa.or_(intents.c.invoice_id.in_(of_those), counted))
            .order_by(intents.c.due_at, intents.c.intent_id)
        )
    ).all()
    out = sa.select(opt_outs.c.person).where(opt_outs.c.opted_out)
    return Facts(
        tenant=Tenant(tenant_id, tenant.connected_at, tenant.announced, lost=tenant.lost_at is not None),
        snapshots=known,
        settled=int(everything or 0) - len(known),
        intents=tuple(map(to_intent, rows)),
        phones={row.intent_id: row.phone for row in rows},
        waits_for={row.intent_id: row.waits_for for row in rows if row.waits_for},
        opted_out=frozenset(await db.scalars(out)),
        halts=await halts(db),
        busiest_hour=await busiest_hour(db, tenant_id, now),
        braked_at=tenant.braked_at,
    )


def _read(bodies: Iterable[str]) -> tuple[Snapshot, ...]:
    return tuple(map(Snapshot.model_validate_json, bodies))
