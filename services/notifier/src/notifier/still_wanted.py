"""The last look before a message leaves: whether what was planned is still right, on a fresh snapshot."""

from datetime import datetime, timedelta

from notifier import judge
from notifier.model import CLOCKS_DIFFER, Decision, History, Intent, Snapshot, Verdict
from notifier.stages import latest_stage, local_date, too_late
from shared.contracts.messages import MessageKind
from shared.policy import Mode, TenantPolicy

FRESH_FOR = timedelta(minutes=10)
"""A snapshot older than this sends nothing."""


def is_fresh(snapshot: Snapshot, now: datetime) -> bool:
    """One from the future is of no known age."""
    return -CLOCKS_DIFFER <= now - snapshot.read_at <= FRESH_FOR


def still_wanted(intent: Intent, snapshot: Snapshot, rules: TenantPolicy, now: datetime, history: History) -> Decision:
    """SEND, or POSTPONE until ``due_at``, or HOLD, SUPPRESS or CANCEL. ``history`` counts the other reminders only."""
    rule = _why_not(intent, snapshot, rules, now, history)
    if rule:
        return Decision(intent.kind, intent.stage, Verdict.CANCEL, rule)
    if rules.mode is Mode.PREVIEW:
        return Decision(intent.kind, intent.stage, Verdict.SUPPRESS, "preview")
    held = judge.why_held(snapshot, rules, history, reminder=intent.kind is MessageKind.REMINDER)
    if held and not intent.released:
        return Decision(intent.kind, intent.stage, Verdict.HOLD, held)
    due_at = judge.contact_moment(snapshot, rules, now)
    if due_at > now:
        return Decision(intent.kind, intent.stage, Verdict.POSTPONE, "contact_hours", due_at)
    return Decision(intent.kind, intent.stage, Verdict.SEND, "due", now)


def why_expired(intent: Intent, snapshot: Snapshot, rules: TenantPolicy, now: datetime) -> str | None:
    """The rule by which time alone has made the message pointless, whatever the invoice has become since."""
    if intent.kind is not MessageKind.REMINDER:
        return "too_old" if now - intent.created_at > timedelta(days=rules.alerts.max_age_days) else None
    due_on = snapshot.invoice.due_on
    if due_on is None:
        return "no_due_date"
    days = (local_date(now, snapshot.organisation.time_zone) - due_on).days
    stage = latest_stage(rules.stages, days)
    if stage is None or stage.offset_days != intent.stage:
        return "superseded"
    return "too_late" if too_late(stage, days) else None


def _why_not(intent: Intent, snapshot: Snapshot, rules: TenantPolicy, now: datetime, history: History) -> str | None:
    not_owed = judge.why_not_owed(snapshot.invoice)
    unreachable = judge.why_not_reachable(snapshot.contact, rules, opted_out=history.opted_out)
    match intent.kind:
        case MessageKind.PAID:
            rule = None if not_owed == "paid" else "no_longer_paid"
            rule = rule or (None if rules.alerts.paid else "alerts_off")
        case MessageKind.ISSUED:
            rule = not_owed or (None if rules.alerts.issued else "alerts_off")
        case MessageKind.REMINDER:
            rule = not_owed
            if rule is None and judge.due_date_changed(intent, snapshot):
                rule = "due_date_changed"
            if rule is None and judge.below_minimum(snapshot.invoice, rules):
                rule = "below_minimum"
    if rule is None and intent.kind is MessageKind.REMINDER:
        return why_expired(intent, snapshot, rules, now) or judge.why_not_reminded(snapshot, rules, now, history)
    return rule or why_expired(intent, snapshot, rules, now) or unreachable
