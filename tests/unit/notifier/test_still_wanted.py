"""The last look before a message leaves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notifier.model import Intent, Verdict
from notifier.still_wanted import is_fresh, still_wanted
from shared.contracts.messages import MessageKind
from support.builders import NOON
from unit.notifier.test_decide import PAID, TENANT_KNOWN, TODAY, history, intent, rules, seen


def look(item: Intent, now: datetime = NOON, policy: Any = None, past: Any = None, **changes: Any) -> tuple[str, str]:
    decision = still_wanted(item, seen(**changes), policy or rules(), now, past or history(item))
    return decision.verdict.value, decision.rule


def test_what_is_right_is_sent() -> None:
    assert look(intent()) == ("send", "due")
    assert look(intent(MessageKind.ISSUED, None)) == ("send", "due")
    thanks = intent(MessageKind.PAID, None)
    assert look(thanks, policy=rules(alerts={"paid": True}), invoice=PAID) == ("send", "due")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"invoice": PAID}, "paid"),
        ({"invoice": {"status": "VOIDED"}}, "voided"),
        ({"invoice": {"amount_due": 0}}, "nothing_due"),
        ({"invoice": {"due_on": TODAY}}, "due_date_changed"),
        ({"invoice": {"expected_payment_on": TODAY}}, "promised"),
        ({"contact": {"status": "ARCHIVED"}}, "contact_not_active"),
        ({"contact": {"phone": None, "no_phone_reason": "invalid"}}, "no_phone_invalid"),
    ],
)
def test_what_changed_meanwhile_is_cancelled(changes: dict[str, Any], rule: str) -> None:
    assert look(intent(), **changes) == ("cancel", rule)


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"opted_out": True}, "opted_out"),
        ({"reminders_this_week": 3}, "weekly_cap"),
        ({"reminders_this_month": 10}, "monthly_cap"),
    ],
)
def test_what_the_ledger_learnt_meanwhile_cancels(facts: dict[str, Any], rule: str) -> None:
    assert look(intent(), past=history(**facts)) == ("cancel", rule)


def test_caps_are_for_reminders_and_opting_out_is_for_everything() -> None:
    alert = intent(MessageKind.ISSUED, None)
    assert look(alert, past=history(reminders_this_week=99)) == ("send", "due")
    assert look(alert, past=history(opted_out=True)) == ("cancel", "opted_out")


def test_time_alone_can_make_it_pointless() -> None:
    # Stage 7 may leave until day 12 and gives way to stage 14.
    assert look(intent(), NOON + timedelta(days=4)) == ("send", "due")
    assert look(intent(), NOON + timedelta(days=6)) == ("cancel", "too_late")
    assert look(intent(), NOON + timedelta(days=7)) == ("cancel", "superseded")
    alert = intent(MessageKind.ISSUED, None)
    assert look(alert, NOON + timedelta(days=7)) == ("send", "due")
    assert look(alert, NOON + timedelta(days=7, seconds=1)) == ("cancel", "too_old")


def test_outside_the_hours_it_is_postponed_to_their_start() -> None:
    night = datetime(2026, 6, 23, 20, 0, tzinfo=UTC)
    decision = still_wanted(intent(), seen(), rules(), night, history())
    assert decision.verdict is Verdict.POSTPONE
    assert decision.due_at == datetime(2026, 6, 24, 3, 30, tzinfo=UTC)


def test_a_mode_that_was_switched_on_meanwhile_counts() -> None:
    assert look(intent(), policy=rules(mode="preview")) == ("suppress", "preview")
    assert look(intent(), policy=rules(mode="approval")) == ("hold", "approval")
    assert look(intent(released=True), policy=rules(mode="approval")) == ("send", "due")
    connected = history(intent(), tenant=replace(TENANT_KNOWN, connected_at=NOON))
    assert look(intent(), past=connected) == ("hold", "back_book")


def test_ten_minutes_are_fresh_and_no_more() -> None:
    assert is_fresh(seen(read_at=NOON), NOON + timedelta(minutes=10))
    assert not is_fresh(seen(read_at=NOON), NOON + timedelta(minutes=10, microseconds=1))
