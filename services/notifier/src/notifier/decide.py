"""What is to be said about an invoice that was just read: one decision per candidate message, with its rule."""

from datetime import datetime, timedelta

from notifier import judge
from notifier.gathering import gathered_at, gathers, joining
from notifier.model import Decision, History, Snapshot, Verdict
from notifier.stages import latest_stage, local_date, too_late
from shared.contracts.invoices import Cause, CauseKind
from shared.contracts.messages import MessageKind
from shared.policy import Mode, TenantPolicy

_NOT_YET_ISSUED = frozenset({"DRAFT", "SUBMITTED"})


def decide(
    before: Snapshot | None, snapshot: Snapshot, cause: Cause, rules: TenantPolicy, now: datetime, history: History
) -> list[Decision]:
    """Decide on ``snapshot``, the newest that is known, after ``before``, what was known until now.

    Cancellations come first; at most one other decision is made per kind and stage.
    """
    decisions = [*_cancelled(snapshot, rules, now, history, scanned=cause.kind is CauseKind.SCAN)]
    if cause.kind in {CauseKind.WEBHOOK, CauseKind.RECONCILE}:
        decisions += _issued(before, snapshot, cause, rules, now, history)
    decisions += _paid(before, snapshot, rules, now, history)
    if cause.kind is CauseKind.SCAN:
        decisions += _reminder(snapshot, rules, now, history)
    return decisions


def _cancelled(
    snapshot: Snapshot, rules: TenantPolicy, now: datetime, history: History, *, scanned: bool
) -> list[Decision]:
    cancelled = []
    not_owed = judge.why_not_owed(snapshot.invoice)
    for intent in history.intents:
        if not intent.pending:
            continue
        rule = not_owed
        if intent.kind is MessageKind.PAID:
            rule = None if not_owed == "paid" else "no_longer_paid"
        elif rule is None and intent.kind is MessageKind.REMINDER:
            if judge.due_date_changed(intent, snapshot):
                rule = "due_date_changed"
            elif scanned and intent.stage != _stage_now(snapshot, rules, now):
                rule = "superseded"
        if rule:
            cancelled.append(Decision(intent.kind, intent.stage, Verdict.CANCEL, rule))
    return cancelled


def _stage_now(snapshot: Snapshot, rules: TenantPolicy, now: datetime) -> int | None:
    due_on = snapshot.invoice.due_on
    if due_on is None:
        return None
    stage = latest_stage(rules.stages, (local_date(now, snapshot.organisation.time_zone) - due_on).days)
    return stage.offset_days if stage else None


def _issued(
    before: Snapshot | None, snapshot: Snapshot, cause: Cause, rules: TenantPolicy, now: datetime, history: History
) -> list[Decision]:
    kind = MessageKind.ISSUED
    if history.intent(kind, None):
        return []
    rule = judge.why_not_owed(snapshot.invoice)
    if rule:
        return [Decision(kind, None, Verdict.SKIP, rule)]
    if not rules.alerts.issued:
        return [Decision(kind, None, Verdict.SKIP, "alerts_off")]
    if not _newly_issued(before, snapshot, cause, rules, now, history):
        return [Decision(kind, None, Verdict.SKIP, "not_newly_issued", weak=True)]
    if cause.event_at is not None and now - cause.event_at > timedelta(days=rules.alerts.max_age_days):
        return [Decision(kind, None, Verdict.SKIP, "too_old")]
    return [_alert(kind, snapshot, rules, now, history)]


def _newly_issued(
    before: Snapshot | None, snapshot: Snapshot, cause: Cause, rules: TenantPolicy, now: datetime, history: History
) -> bool:
    if cause.event_type == "CREATE" or (before is not None and before.invoice.status in _NOT_YET_ISSUED):
        return True
    invoice, zone, tenant = snapshot.invoice, snapshot.organisation.time_zone, history.tenant
    if invoice.issued_on is None or (tenant.announced and _untouched_since(snapshot, tenant.connected_at)):
        return False
    # Nobody said that it is new, so it must look new: dated since the connection, and nothing paid or credited yet.
    if invoice.issued_on < local_date(tenant.connected_at, zone) or invoice.amount_paid or invoice.amount_credited:
        return False
    # A scan may have seen it before the lost webhook's replacement did; then nobody has judged it yet.
    if before is not None and history.issue_judged:
        return False
    return (local_date(now, zone) - invoice.issued_on).days <= rules.alerts.max_age_days


def _untouched_since(snapshot: Snapshot, connected_at: datetime) -> bool:
    updated_at = snapshot.invoice.updated_at
    return updated_at is not None and updated_at < connected_at


def _paid(
    before: Snapshot | None, snapshot: Snapshot, rules: TenantPolicy, now: datetime, history: History
) -> list[Decision]:
    was_owed = before is not None and judge.why_not_owed(before.invoice) is None
    if not was_owed or judge.why_not_owed(snapshot.invoice) != "paid" or history.intent(MessageKind.PAID, None):
        return []
    if not rules.alerts.paid:
        return [Decision(MessageKind.PAID, None, Verdict.SKIP, "alerts_off")]
    return [_alert(MessageKind.PAID, snapshot, rules, now, history)]


def _alert(kind: MessageKind, snapshot: Snapshot, rules: TenantPolicy, now: datetime, history: History) -> Decision:
    rule = judge.why_not_reachable(snapshot.contact, rules, opted_out=history.opted_out)
    if rule:
        return Decision(kind, None, Verdict.SKIP, rule)
    return _wanted(kind, None, snapshot, rules, now, history)


def _reminder(snapshot: Snapshot, rules: TenantPolicy, now: datetime, history: History) -> list[Decision]:
    kind, invoice = MessageKind.REMINDER, snapshot.invoice
    rule = judge.why_not_owed(invoice) or ("below_minimum" if judge.below_minimum(invoice, rules) else None)
    if rule:
        return [Decision(kind, None, Verdict.SKIP, rule)]
    if invoice.due_on is None:
        return [Decision(kind, None, Verdict.SKIP, "no_due_date")]
    days = (local_date(now, snapshot.organisation.time_zone) - invoice.due_on).days
    stage = latest_stage(rules.stages, days)
    if stage is None:
        return [Decision(kind, None, Verdict.SKIP, "no_stage_due")]
    said = history.intent(kind, stage.offset_days)
    if said and not said.revivable and not (said.pending and judge.due_date_changed(said, snapshot)):
        return []
    late = "too_late" if too_late(stage, days) else None
    past = joining(history) if gathers(rules, kind, stage.offset_days) else history
    rule = late or judge.why_not_reminded(snapshot, rules, now, past)
    if rule:
        return [Decision(kind, stage.offset_days, Verdict.SKIP, rule)]
    return [_wanted(kind, stage.offset_days, snapshot, rules, now, history)]


def _wanted(
    kind: MessageKind, stage: int | None, snapshot: Snapshot, rules: TenantPolicy, now: datetime, history: History
) -> Decision:
    gathered = gathers(rules, kind, stage)
    due_at = judge.contact_moment(snapshot, rules, gathered_at(now, history) if gathered else now)
    if rules.mode is Mode.PREVIEW:
        return Decision(kind, stage, Verdict.SUPPRESS, "preview", due_at)
    held = judge.why_held(snapshot, rules, history, reminder=kind is MessageKind.REMINDER)
    if held:
        return Decision(kind, stage, Verdict.HOLD, held, due_at, gathers=gathered)
    return Decision(kind, stage, Verdict.PLAN, "due", due_at, gathers=gathered)
