"""Every rule of every decision, on both sides of its boundary."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from notifier.decide import decide
from notifier.model import Decision, History, Intent, Snapshot, Tenant, Verdict
from shared.contracts.invoices import Cause, CauseKind
from shared.contracts.messages import MessageKind, MessageState
from shared.policy import TenantPolicy
from support.builders import CONTACT, INVOICE, NOON, TENANT, make_enriched

TODAY = date(2026, 6, 23)
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
TENANT_KNOWN = Tenant(TENANT, LONG_AGO, announced=True, lost=False)
SCAN = Cause(kind=CauseKind.SCAN)
LOOK = Cause(kind=CauseKind.LOOK)
RECONCILE = Cause(kind=CauseKind.RECONCILE)
CREATE = Cause(kind=CauseKind.WEBHOOK, event_type="CREATE", event_at=NOON)
UPDATE = Cause(kind=CauseKind.WEBHOOK, event_type="UPDATE", event_at=NOON)


def seen(days_past_due: int = 7, **changes: Any) -> Snapshot:
    changes["invoice"] = {"due_on": TODAY - timedelta(days=days_past_due), **changes.get("invoice", {})}
    return Snapshot.of(make_enriched(**changes))


def rules(**values: Any) -> TenantPolicy:
    return TenantPolicy.model_validate(values)


def intent(
    kind: MessageKind = MessageKind.REMINDER,
    stage: int | None = 7,
    state: MessageState = MessageState.PLANNED,
    **changes: Any,
) -> Intent:
    made = Intent(
        intent_id="intent-1",
        tenant_id=TENANT,
        invoice_id=INVOICE,
        invoice_number="INV-1042",
        contact_id=CONTACT,
        kind=kind,
        stage=stage,
        state=state,
        reason=None,
        due_on=TODAY - timedelta(days=7),
        due_at=NOON,
        created_at=NOON,
        claimed_at=None,
        released=False,
        tries=0,
        correlation_id=None,
    )
    return replace(made, **changes)


def history(*intents: Intent, tenant: Tenant = TENANT_KNOWN, **changes: Any) -> History:
    return History(tenant=tenant, intents=intents, **changes)


def decided(
    snapshot: Snapshot,
    cause: Cause = SCAN,
    policy: TenantPolicy | None = None,
    past: History | None = None,
    before: Snapshot | None = None,
    now: datetime = NOON,
) -> list[tuple[str, int | None, str, str]]:
    decisions = decide(before, snapshot, cause, policy or rules(), now, past or history())
    return [(d.kind.value, d.stage, d.verdict.value, d.rule) for d in decisions]


def test_a_due_stage_is_planned_inside_the_contact_hours() -> None:
    (decision,) = decide(None, seen(), SCAN, rules(), NOON, history())
    assert decision == Decision(MessageKind.REMINDER, 7, Verdict.PLAN, "due", NOON)


@pytest.mark.parametrize(
    ("days", "stage", "rule"),
    [
        (-4, None, "no_stage_due"),
        (-3, -3, "due"),
        (-1, -3, "due"),
        (0, 0, "due"),
        (1, 0, "due"),
        (2, 0, "too_late"),
        (3, 3, "due"),
        (6, 3, "due"),
        (7, 7, "due"),
        (12, 7, "due"),
        (13, 7, "too_late"),
        (14, 14, "due"),
        (24, 14, "due"),
        (25, 14, "too_late"),
        (29, 14, "too_late"),
        (30, 30, "due"),
        (3000, 30, "due"),
    ],
)
def test_the_latest_stage_within_its_lateness(days: int, stage: int | None, rule: str) -> None:
    ((_, got, _, why),) = decided(seen(days))
    assert (got, why) == (stage, rule)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"invoice": {"type": "ACCPAY"}}, "not_a_sale"),
        ({"invoice": {"status": "DRAFT"}}, "not_issued"),
        ({"invoice": {"status": "SUBMITTED"}}, "not_issued"),
        ({"invoice": {"status": "VOIDED"}}, "voided"),
        ({"invoice": {"status": "DELETED"}}, "deleted"),
        ({"invoice": {"status": "PAID", "amount_due": 0, "amount_paid": 1}}, "paid"),
        ({"invoice": {"status": "PAID", "amount_due": 0}}, "credited"),
        ({"invoice": {"status": "SOMETHING_NEW"}}, "unknown_status"),
        ({"invoice": {"amount_due": 0}}, "nothing_due"),
        ({"invoice": {"amount_due": "99.99"}}, "below_minimum"),
        ({"invoice": {"amount_due": "100.00"}}, "due"),
        ({"invoice": {"due_on": None}}, "no_due_date"),
        ({"invoice": {"expected_payment_on": TODAY}}, "promised"),
        ({"invoice": {"expected_payment_on": TODAY - timedelta(days=1)}}, "due"),
        ({"contact": {"status": "ARCHIVED"}}, "contact_not_active"),
        ({"contact": {"status": "GDPRREQUEST"}}, "contact_not_active"),
        ({"contact": {"phone": None, "no_phone_reason": "not_a_mobile"}}, "no_phone_not_a_mobile"),
        ({"contact": {"phone": None, "no_phone_reason": "none_given"}}, "no_phone_none_given"),
        ({"contact": {"name": "Excluded Ltd"}}, "excluded"),
        ({"contact": {"contact_id": "excluded-id"}}, "excluded"),
    ],
)
def test_each_rule_of_a_reminder(changes: dict[str, Any], rule: str) -> None:
    policy = rules(minimum_amount=100, exclude_contacts=["Excluded Ltd", "excluded-id"])
    ((_, _, verdict, why),) = decided(seen(**changes), policy=policy)
    assert why == rule
    assert verdict == ("plan" if rule == "due" else "skip")


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"opted_out": True}, "opted_out"),
        ({"reminders_this_week": 2, "reminders_this_month": 9}, "due"),
        ({"reminders_this_week": 3}, "weekly_cap"),
        ({"reminders_this_month": 10}, "monthly_cap"),
    ],
)
def test_what_the_ledger_knows_keeps_a_reminder_back(facts: dict[str, Any], rule: str) -> None:
    assert decided(seen(), past=history(**facts))[0][3] == rule


@pytest.mark.parametrize(
    ("now", "stage"),
    [(datetime(2026, 6, 22, 18, 29, tzinfo=UTC), 3), (datetime(2026, 6, 22, 18, 30, tzinfo=UTC), 7)],
)
def test_days_turn_at_midnight_in_the_organisations_zone(now: datetime, stage: int) -> None:
    assert decided(seen(7), now=now)[0][1] == stage


@pytest.mark.parametrize(
    ("connected_on", "verdict"), [(date(2026, 6, 16), "plan"), (date(2026, 6, 17), "hold"), (TODAY, "hold")]
)
def test_the_back_book_is_held(connected_on: date, verdict: str) -> None:
    connected_at = datetime(connected_on.year, connected_on.month, connected_on.day, 6, tzinfo=UTC)
    past = history(tenant=replace(TENANT_KNOWN, connected_at=connected_at))
    assert decided(seen(), past=past)[0][2] == verdict
    assert decided(seen(), past=past, policy=rules(brake={"hold_back_book": False}))[0][2] == "plan"


def test_an_invoice_a_person_has_released_is_not_held_again() -> None:
    released = intent(stage=3, state=MessageState.READ, released=True, claimed_at=NOON - timedelta(days=4))
    past = history(released, tenant=replace(TENANT_KNOWN, connected_at=NOON))
    assert decided(seen(), past=past) == [("reminder", 7, "plan", "due")]


def test_the_modes() -> None:
    assert decided(seen(), policy=rules(mode="preview")) == [("reminder", 7, "suppress", "preview")]
    assert decided(seen(), policy=rules(mode="approval")) == [("reminder", 7, "hold", "approval")]


@pytest.mark.parametrize("state", [state for state in MessageState if state is not MessageState.CANCELLED])
def test_a_stage_that_has_its_message_is_left_alone(state: MessageState) -> None:
    assert decided(seen(), past=history(intent(state=state))) == []


def test_a_cancelled_reminder_that_never_left_may_be_planned_again() -> None:
    assert decided(seen(), past=history(intent(state=MessageState.CANCELLED))) == [("reminder", 7, "plan", "due")]
    tried = intent(state=MessageState.CANCELLED, claimed_at=NOON)
    assert decided(seen(), past=history(tried)) == []


@pytest.mark.parametrize("state", [MessageState.PLANNED, MessageState.HELD])
def test_a_later_stage_replaces_one_still_waiting(state: MessageState) -> None:
    past = history(intent(stage=3, state=state))
    assert decided(seen(), past=past) == [("reminder", 3, "cancel", "superseded"), ("reminder", 7, "plan", "due")]


@pytest.mark.parametrize(
    ("invoice", "rule"),
    [
        ({"status": "PAID", "amount_due": 0, "amount_paid": 5}, "paid"),
        ({"status": "PAID", "amount_due": 0, "amount_credited": 5}, "credited"),
        ({"status": "VOIDED"}, "voided"),
        ({"status": "DELETED"}, "deleted"),
        ({"due_on": TODAY}, "due_date_changed"),
    ],
)
@pytest.mark.parametrize("state", [MessageState.PLANNED, MessageState.HELD])
def test_what_is_no_longer_right_is_cancelled(invoice: dict[str, Any], rule: str, state: MessageState) -> None:
    assert decided(seen(invoice=invoice), LOOK, past=history(intent(state=state))) == [("reminder", 7, "cancel", rule)]


@pytest.mark.parametrize("state", [MessageState.SENDING, MessageState.SENT, MessageState.UNKNOWN])
def test_what_has_left_cannot_be_cancelled(state: MessageState) -> None:
    assert decided(seen(invoice={"status": "VOIDED"}), LOOK, past=history(intent(state=state))) == []


def test_a_moved_due_date_plans_the_same_stage_anew_when_it_is_due() -> None:
    moved = intent(due_on=TODAY - timedelta(days=8))
    assert decided(seen(), past=history(moved)) == [
        ("reminder", 7, "cancel", "due_date_changed"),
        ("reminder", 7, "plan", "due"),
    ]


def issued(cause: Cause, *, before: Snapshot | None = None, past: History | None = None, **changes: Any) -> str:
    ((kind, stage, _, rule),) = decided(seen(-20, **changes), cause, before=before, past=past)
    assert (kind, stage) == ("issued", None)
    return rule


@pytest.mark.parametrize(
    ("cause", "status_before", "issued_on", "rule"),
    [
        (CREATE, None, date(2020, 1, 1), "due"),
        (CREATE, "AUTHORISED", TODAY, "due"),
        (UPDATE, "DRAFT", date(2020, 1, 1), "due"),
        (UPDATE, "SUBMITTED", date(2020, 1, 1), "due"),
        (RECONCILE, "DRAFT", date(2020, 1, 1), "due"),
        (UPDATE, None, TODAY - timedelta(days=7), "due"),
        (UPDATE, None, TODAY - timedelta(days=8), "not_newly_issued"),
        (RECONCILE, None, TODAY, "due"),
        (RECONCILE, None, None, "not_newly_issued"),
    ],
)
def test_an_alert_needs_an_invoice_that_is_new(
    cause: Cause, status_before: str | None, issued_on: date | None, rule: str
) -> None:
    before = None if status_before is None else seen(invoice={"status": status_before})
    assert issued(cause, before=before, invoice={"issued_on": issued_on}) == rule


def test_an_alert_is_not_repeated_for_an_invoice_that_was_known() -> None:
    assert issued(UPDATE, before=seen(-20), past=history(issue_judged=True), invoice={"issued_on": TODAY}) == (
        "not_newly_issued"
    )


def test_an_invoice_that_only_a_scan_has_seen_is_still_new_to_the_reconcile_poll() -> None:
    assert issued(RECONCILE, before=seen(-20), invoice={"issued_on": TODAY}) == "due"
    just_connected = history(tenant=replace(TENANT_KNOWN, connected_at=NOON))
    yesterday = {"issued_on": TODAY - timedelta(days=1)}
    assert issued(RECONCILE, before=seen(-20), past=just_connected, invoice=yesterday) == "not_newly_issued"


def test_an_invoice_untouched_since_before_the_connection_is_old() -> None:
    before = {"issued_on": TODAY, "updated_at": NOON - timedelta(seconds=1)}
    connected = replace(TENANT_KNOWN, connected_at=NOON)
    assert issued(RECONCILE, past=history(tenant=connected), invoice=before) == "not_newly_issued"
    assert issued(RECONCILE, past=history(tenant=replace(connected, announced=False)), invoice=before) == "due"


@pytest.mark.parametrize("cause", [UPDATE, RECONCILE])
@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("invoice", "rule"),
    [
        ({"issued_on": TODAY}, "due"),
        ({"issued_on": TODAY - timedelta(days=1)}, "not_newly_issued"),
        ({"issued_on": TODAY - timedelta(days=6), "amount_paid": 500}, "not_newly_issued"),
        ({"issued_on": TODAY, "amount_paid": 500}, "not_newly_issued"),
        ({"issued_on": TODAY, "amount_credited": 500}, "not_newly_issued"),
    ],
)
def test_a_first_sight_alerts_only_of_what_was_issued_since_the_connection_and_is_untouched(
    cause: Cause, announced: bool, invoice: dict[str, Any], rule: str
) -> None:
    just_connected = history(tenant=replace(TENANT_KNOWN, connected_at=NOON, announced=announced))
    assert issued(cause, past=just_connected, invoice=invoice) == rule
    assert issued(CREATE, past=just_connected, invoice=invoice) == "due"


def test_the_day_of_the_connection_is_the_organisations() -> None:
    past_midnight_in_india = datetime(2026, 6, 22, 19, 0, tzinfo=UTC)
    past = history(tenant=replace(TENANT_KNOWN, connected_at=past_midnight_in_india))
    assert issued(UPDATE, past=past, invoice={"issued_on": TODAY}) == "due"
    assert issued(UPDATE, past=past, invoice={"issued_on": TODAY - timedelta(days=1)}) == "not_newly_issued"


@pytest.mark.parametrize(("age", "rule"), [(timedelta(days=7), "due"), (timedelta(days=7, seconds=1), "too_old")])
def test_an_old_event_alerts_nobody(age: timedelta, rule: str) -> None:
    assert issued(Cause(kind=CauseKind.WEBHOOK, event_type="CREATE", event_at=NOON - age)) == rule


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"invoice": {"type": "ACCPAY"}}, "not_a_sale"),
        ({"invoice": {"status": "DRAFT"}}, "not_issued"),
        ({"invoice": {"amount_due": Decimal(0)}}, "nothing_due"),
        ({"contact": {"phone": None, "no_phone_reason": "invalid"}}, "no_phone_invalid"),
        ({"contact": {"status": "ARCHIVED"}}, "contact_not_active"),
    ],
)
def test_each_rule_of_an_alert(changes: dict[str, Any], rule: str) -> None:
    assert issued(CREATE, **changes) == rule


def test_alerts_can_be_off_and_scans_and_looks_never_alert() -> None:
    off = rules(alerts={"issued": False})
    assert decided(seen(-20), CREATE, off) == [("issued", None, "skip", "alerts_off")]
    assert decided(seen(-20), LOOK) == []
    assert [kind for kind, *_ in decided(seen(-20), SCAN)] == ["reminder"]


def test_an_issued_alert_is_made_once() -> None:
    made = intent(MessageKind.ISSUED, None, MessageState.CANCELLED)
    assert decided(seen(-20), CREATE, past=history(made)) == []


PAID = {"status": "PAID", "amount_due": 0, "amount_paid": 12500}


@pytest.mark.parametrize("cause", [UPDATE, RECONCILE, LOOK])
def test_a_payment_is_thanked_for_when_asked_to(cause: Cause) -> None:
    policy = rules(alerts={"paid": True})
    said = decided(seen(invoice=PAID), cause, policy, before=seen())
    assert ("paid", None, "plan", "due") in said


@pytest.mark.parametrize(
    ("before", "invoice", "paid_alert"),
    [
        (None, PAID, True),
        (seen(invoice=PAID), PAID, True),
        (seen(invoice={"status": "DRAFT"}), PAID, True),
        (seen(), {"status": "PAID", "amount_due": 0, "amount_credited": 12500}, True),
        (seen(), {"amount_due": 1, "amount_paid": 12499}, True),
    ],
)
def test_no_thanks_without_a_payment_seen(before: Snapshot | None, invoice: dict[str, Any], paid_alert: bool) -> None:
    said = decided(seen(invoice=invoice), LOOK, rules(alerts={"paid": paid_alert}), before=before)
    assert [kind for kind, *_ in said if kind == "paid"] == []


def test_a_payment_that_is_undone_cancels_the_thanks() -> None:
    thanks = intent(MessageKind.PAID, None)
    assert decided(seen(), LOOK, past=history(thanks)) == [("paid", None, "cancel", "no_longer_paid")]
