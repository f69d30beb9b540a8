"""What the ledger knows besides the invoice when something is decided about it."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.replies import replied_at
from notifier.adapters.sql import LEFT_STATES, find_intents
from notifier.model import MONTH, WEEK, History, Intent, Snapshot, Tenant
from notifier.tables import decisions, intents, opt_outs
from shared.contracts.messages import MessageKind, MessageState

_NOT_JUDGED = ("not_issued", "groups_unknown")
"""Rules under which whether an invoice is new was left open."""


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
            decisions.c.rule.not_in(_NOT_JUDGED),
        )
    )
    out, replied = False, None
    if phone is not None:
        wish = sa.select(opt_outs.c.opted_out).where(opt_outs.c.person == phone).scalar_subquery()
        reply = replied_at(tenant.tenant_id, [phone]).scalar_subquery()
        out, replied = (await db.execute(sa.select(wish, reply))).one()
    planned = (intents.c.state == MessageState.PLANNED.value) & (intents.c.invoice_id != invoice_id)
    # Each side is written out whole, or SQLite reads every intent of the organisation instead of two indexes.
    reminder = (intents.c.tenant_id == tenant.tenant_id) & (intents.c.kind == MessageKind.REMINDER.value)
    person = reminder & (intents.c.contact_id == snapshot.contact.contact_id)
    if phone is not None:
        person |= reminder & (intents.c.phone == phone)
    left = intents.c.state.in_(LEFT_STATES) & (intents.c.claimed_at > now - MONTH)
    reminders = sa.select(intents.c.claimed_at).where(
        person,
        left if leaving else left | planned,
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
        replied_at=replied,
        reminders_this_week=sum(moment > now - WEEK for moment in moments),
        reminders_this_month=len(moments),
    )
