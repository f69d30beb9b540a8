"""What the ledger knows besides the invoice when something is decided about it, in one statement."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.sql import LEFT_STATES, to_intent
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
    judged = sa.exists().where(
        decisions.c.tenant_id == tenant.tenant_id,
        decisions.c.invoice_id == invoice_id,
        decisions.c.kind == MessageKind.ISSUED.value,
        decisions.c.rule.not_in(_NOT_JUDGED),
    )
    out = sa.select(opt_outs.c.opted_out).where(opt_outs.c.person == phone).scalar_subquery()
    reminders = _reminders(tenant, snapshot, now, leaving)
    lately = sa.or_(reminders.c.claimed_at.is_(None), reminders.c.claimed_at > now - WEEK)
    known = sa.select(
        judged.label("judged"),
        out.label("opted_out"),
        sa.select(sa.func.count()).select_from(reminders).where(lately).scalar_subquery().label("this_week"),
        sa.select(sa.func.count()).select_from(reminders).scalar_subquery().label("this_month"),
    ).subquery("known")
    own = (intents.c.tenant_id == tenant.tenant_id) & (intents.c.invoice_id == invoice_id)
    rows = (
        await db.execute(
            sa.select(known, intents).select_from(known.outerjoin(intents, own)).order_by(intents.c.due_at)
        )
    ).all()
    return History(
        tenant=tenant,
        intents=tuple(to_intent(row) for row in rows if row.intent_id is not None),
        issue_judged=bool(rows[0].judged),
        opted_out=bool(rows[0].opted_out),
        reminders_this_week=rows[0].this_week,
        reminders_this_month=rows[0].this_month,
    )


def _reminders(tenant: Tenant, snapshot: Snapshot, now: datetime, leaving: Intent | None) -> sa.Subquery:
    """The person's; what has not left, where it counts, has no moment or an old one."""
    invoice_id, phone = snapshot.invoice.invoice_id, snapshot.contact.phone
    planned = (intents.c.state == MessageState.PLANNED.value) & (intents.c.invoice_id != invoice_id)
    # Each side is written out whole, or SQLite reads every intent of the organisation instead of two indexes.
    reminder = (intents.c.tenant_id == tenant.tenant_id) & (intents.c.kind == MessageKind.REMINDER.value)
    person = reminder & (intents.c.contact_id == snapshot.contact.contact_id)
    if phone is not None:
        person |= reminder & (intents.c.phone == phone)
    left = intents.c.state.in_(LEFT_STATES) & (intents.c.claimed_at > now - MONTH)
    counted = sa.select(intents.c.claimed_at).where(person, left if leaving else left | planned)
    if leaving:
        counted = counted.where(intents.c.intent_id != leaving.intent_id)
    return counted.subquery("reminders")
