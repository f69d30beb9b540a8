"""What the ledger knows besides the invoice when something is decided about it, in one statement."""

from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.prepared import parameter
from notifier.adapters.replies import replied_at
from notifier.adapters.sql import LEFT_STATES, to_intent
from notifier.model import MONTH, WEEK, History, Intent, Snapshot, Tenant
from notifier.persons import Persons
from notifier.tables import decisions, erased, intents, opt_outs
from shared.contracts.messages import MessageKind, MessageState

_NOT_JUDGED = ("not_issued", "groups_unknown")
"""Rules under which whether an invoice is new was left open."""


async def history(
    db: AsyncConnection,
    tenant: Tenant,
    snapshot: Snapshot,
    now: datetime,
    leaving: Intent | None,
    persons: Persons | None = None,
) -> History:
    """See :meth:`notifier.ports.TenantBook.history`."""
    contact = snapshot.contact
    names = persons.names_of(tenant.tenant_id, contact) if persons else []
    values: dict[str, object] = {
        "tenant": tenant.tenant_id,
        "invoice": snapshot.invoice.invoice_id,
        "contact": contact.contact_id,
        "number": contact.phone,
        "month": now - MONTH,
        "week": now - WEEK,
    }
    if leaving:
        values["leaving"] = leaving.intent_id
    if names:
        values["names"] = names
    rows = (await db.execute(_known(leaving=leaving is not None, named=bool(names)), values)).all()
    return History(
        tenant=tenant,
        intents=tuple(to_intent(row) for row in rows if row.intent_id is not None),
        issue_judged=bool(rows[0].judged),
        opted_out=bool(rows[0].opted_out),
        erased=bool(rows[0].erased),
        replied_at=rows[0].replied_at,
        reminders_this_week=rows[0].this_week,
        reminders_this_month=rows[0].this_month,
        gathers_until=rows[0].gathers_until,
    )


@cache
def _known(*, leaving: bool, named: bool) -> sa.Select[Any]:
    """One row for each intent of the invoice, or one without any, with what is known beside them.

    ``named``: the person would be known again as erased, by one of ``names``.
    """
    tenant, invoice, number = parameter("tenant"), parameter("invoice"), parameter("number")
    judged = sa.exists().where(
        decisions.c.tenant_id == tenant,
        decisions.c.invoice_id == invoice,
        decisions.c.kind == MessageKind.ISSUED.value,
        decisions.c.rule.not_in(_NOT_JUDGED),
    )
    out = sa.select(opt_outs.c.opted_out).where(opt_outs.c.person == number).scalar_subquery()
    gone = sa.exists().where(erased.c.person.in_(sa.bindparam("names", expanding=True))) if named else sa.false()
    reminders = _reminders(leaving=leaving)
    lately = sa.or_(reminders.c.claimed_at.is_(None), reminders.c.claimed_at > parameter("week"))
    messages = sa.select(sa.func.count(reminders.c.message.distinct()))
    gathered = reminders.c.gathers & (reminders.c.contact_id == parameter("contact")) & (reminders.c.phone == number)
    known = sa.select(
        judged.label("judged"),
        out.label("opted_out"),
        gone.label("erased"),
        replied_at(tenant, number).scalar_subquery().label("replied_at"),
        messages.where(lately).scalar_subquery().label("this_week"),
        messages.scalar_subquery().label("this_month"),
        sa.select(sa.func.min(reminders.c.due_at)).where(gathered).scalar_subquery().label("gathers_until"),
    ).subquery("known")
    own = (intents.c.tenant_id == tenant) & (intents.c.invoice_id == invoice)
    return sa.select(known, intents).select_from(known.outerjoin(intents, own)).order_by(intents.c.due_at)


def _reminders(*, leaving: bool) -> sa.Subquery:
    """The person's, each with its moment and by which message it is; what has not left has no moment, or an old one."""
    is_planned = intents.c.state == MessageState.PLANNED.value
    planned = is_planned & (intents.c.invoice_id != parameter("invoice"))
    # Each side is written out whole, or SQLite reads every intent of the organisation instead of two indexes.
    reminder = (intents.c.tenant_id == parameter("tenant")) & (intents.c.kind == MessageKind.REMINDER.value)
    same_contact = reminder & (intents.c.contact_id == parameter("contact"))
    same_number = reminder & (intents.c.phone == parameter("number"))
    left = intents.c.state.in_(LEFT_STATES) & (intents.c.claimed_at > parameter("month"))
    gathers = is_planned & intents.c.gathers
    # What gathers will leave as one message for each contact and number; what left together was one.
    together = sa.literal("together ") + intents.c.contact_id + " " + sa.func.coalesce(intents.c.phone, "")
    message = sa.case(
        (gathers, together),
        (is_planned, intents.c.intent_id),
        else_=sa.func.coalesce(intents.c.statement, intents.c.intent_id),
    )
    counted = sa.select(
        *(intents.c[name] for name in ("contact_id", "phone", "due_at")),
        sa.case((gathers, None), else_=intents.c.claimed_at).label("claimed_at"),
        message.label("message"),
        gathers.label("gathers"),
    ).where(same_contact | same_number, left if leaving else left | planned)
    if leaving:
        counted = counted.where(intents.c.intent_id != parameter("leaving"))
    return counted.subquery("reminders")
