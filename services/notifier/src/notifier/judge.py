"""The single questions behind every decision; each answers with the rule that says no, or None."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from notifier.contact_hours import public_holidays, recipient_country, recipient_zones, shared_contact_moment
from notifier.model import ERASED, History, Intent, Snapshot
from notifier.stages import local_date, zone_of
from shared.contracts.invoices import Contact, Invoice
from shared.contracts.messages import MessageKind
from shared.policy import Caps, Mode, TenantPolicy, plain_name


def why_not_owed(invoice: Invoice) -> str | None:
    """Only an authorised sale with something due is owed."""
    if invoice.type != "ACCREC":
        return "not_a_sale"
    match invoice.status:
        case "AUTHORISED":
            return None if invoice.amount_due > 0 else "nothing_due"
        case "PAID":
            return "paid" if invoice.amount_paid > 0 else "credited"
        case "DRAFT" | "SUBMITTED":
            return "not_issued"
        case "VOIDED" | "DELETED":
            return invoice.status.lower()
        case _:
            return "unknown_status"


def why_not_reachable(contact: Contact, rules: TenantPolicy, *, opted_out: bool) -> str | None:
    if contact.contact_id == ERASED:
        return "erased"
    if contact.status != "ACTIVE":
        return "contact_not_active"
    if excluded := why_excluded(contact, rules):
        return excluded
    if contact.phone is None:
        return f"no_phone_{contact.no_phone_reason or 'none_given'}"
    return "opted_out" if opted_out else None


def why_excluded(contact: Contact, rules: TenantPolicy) -> str | None:
    """Who may be in an excluded group is not written to: Xero does not tell the groups with every reading."""
    if _among(rules.exclude_contacts, contact.contact_id, contact.name):
        return "excluded"
    if not rules.exclude_groups:
        return None
    if contact.groups is None:
        return "groups_unknown"
    named = [name for group in contact.groups for name in (group.group_id, group.name)]
    return "excluded_group" if _among(rules.exclude_groups, *named) else None


def _among(listed: Sequence[str], *names: str) -> bool:
    return not {plain_name(entry) for entry in listed}.isdisjoint(map(plain_name, names))


def why_not_reminded(snapshot: Snapshot, rules: TenantPolicy, now: datetime, history: History) -> str | None:
    """What keeps a reminder back although a stage is due."""
    promised = snapshot.invoice.expected_payment_on
    if promised is not None and promised >= local_date(now, snapshot.organisation.time_zone):
        return "promised"
    unreachable = why_not_reachable(snapshot.contact, rules, opted_out=history.opted_out)
    if unreachable is None and reminded_today(snapshot, now, history):
        return "reminded_today"
    if unreachable is None and has_replied(rules, now, history):
        return "replied"
    return unreachable or why_capped(rules.caps, history)


def has_replied(rules: TenantPolicy, now: datetime, history: History) -> bool:
    """Whether the person has answered so lately that somebody should read it before the next reminder."""
    pause = timedelta(days=rules.reply_pause_days)
    return history.replied_at is not None and now < history.replied_at + pause


def reminded_today(snapshot: Snapshot, now: datetime, history: History) -> bool:
    """Whether a reminder of this invoice left on this day already, on the organisation's calendar or the person's."""
    zones = (zone_of(snapshot.organisation.time_zone), *_person_zones(snapshot, now))
    moments = [
        intent.claimed_at
        for intent in history.intents
        if intent.kind is MessageKind.REMINDER and intent.left and intent.claimed_at is not None
    ]
    return any(now.astimezone(zone).date() == moment.astimezone(zone).date() for zone in zones for moment in moments)


def why_capped(caps: Caps, history: History) -> str | None:
    if history.reminders_this_week >= caps.per_contact_per_week:
        return "weekly_cap"
    if history.reminders_this_month >= caps.per_contact_per_month:
        return "monthly_cap"
    return None


def below_minimum(invoice: Invoice, rules: TenantPolicy) -> bool:
    return invoice.amount_due < rules.minimum_amount


def in_back_book(snapshot: Snapshot, history: History) -> bool:
    """Whether the invoice was overdue when the organisation was connected and nobody has released it since."""
    due_on = snapshot.invoice.due_on
    connected_on = local_date(history.tenant.connected_at, snapshot.organisation.time_zone)
    return due_on is not None and due_on < connected_on and not any(intent.released for intent in history.intents)


def why_held(snapshot: Snapshot, rules: TenantPolicy, history: History, *, reminder: bool) -> str | None:
    """What a person must release first."""
    if reminder and rules.brake.hold_back_book and in_back_book(snapshot, history):
        return "back_book"
    return "approval" if rules.mode is Mode.APPROVAL else None


def contact_moment(snapshot: Snapshot, rules: TenantPolicy, now: datetime) -> datetime:
    """The next moment at which the contact may be written to; ``now`` for a contact without a number."""
    phone = snapshot.contact.phone
    if phone is None:
        return now
    zones = _person_zones(snapshot, now)
    return shared_contact_moment(now, zones, rules.contact_hours, public_holidays(recipient_country(phone)))


def _person_zones(snapshot: Snapshot, now: datetime) -> Sequence[tzinfo]:
    phone, organisation = snapshot.contact.phone, snapshot.organisation
    return () if phone is None else recipient_zones(phone, organisation.time_zone, organisation.country, now)


def due_date_changed(intent: Intent, snapshot: Snapshot) -> bool:
    return intent.due_on != snapshot.invoice.due_on
