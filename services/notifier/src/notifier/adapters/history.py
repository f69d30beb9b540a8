"""What the ledger knows besides the invoice when something is decided about it."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.sql import LEFT, find_intents
from notifier.model import History, Intent, Snapshot, Tenant
from notifier.tables import decisions, intents, opt_outs
from shared.contracts.messages import MessageKind, MessageState

WEEK = timedelta(days=7)
MONTH = timedelta(days=30)


async def history(
    db: AsyncConnection, tenant: Tenant, snapshot: Snapshot, now: datetime, leaving: Intent | None
) -> History:
    """See :meth:`notifier.ports.TenantBook.history`."""
    invoice_id, phone = snapshot.invoice.invoice_id, snapshot.contact.phone
    judged = await db.scalar(
        sa.select(decisions.c.rule).where(
            decisions.c.tenant_id == tenant.tenant_id,
            decisions.c.invoice_id == invoice_id,
            decisions.c.kind == MessageKind.ISSUED.value,
            decisions.c.rule != "not_issued",
        )
    )
    out = phone and await db.scalar(sa.select(opt_outs.c.opted_out).where(opt_outs.c.person == phone))
    planned = (intents.c.state == MessageState.PLANNED.value) & (intents.c.invoice_id != invoice_id)
    reminders = sa.select(intents.c.claimed_at).where(
        intents.c.tenant_id == tenant.tenant_id,
        intents.c.contact_id == snapshot.contact.contact_id,
        intents.c.kind == MessageKind.REMINDER.value,
        intents.c.state.in_(LEFT) if leaving else intents.c.state.in_(LEFT) | planned,
        intents.c.intent_id != (leaving.intent_id if leaving else ""),
    )
    moments = [moment or now for (moment,) in await db.execute(reminders)]
    return History(
        tenant=tenant,
        intents=tuple(
            await find_intents(db, intents.c.tenant_id == tenant.tenant_id, intents.c.invoice_id == invoice_id)
        ),
        issue_judged=judged is not None,
        opted_out=bool(out),
        reminders_this_week=sum(moment > now - WEEK for moment in moments),
        reminders_this_month=sum(moment > now - MONTH for moment in moments),
    )
