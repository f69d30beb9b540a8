"""Rules about the person: groups, exclusions, the day's first reminder, whole clocks; each as a table."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from notifier.model import Intent, Snapshot
from notifier.still_wanted import still_wanted
from shared.contracts.messages import MessageKind, MessageState
from support.builders import NOON, make_enriched
from unit.notifier.test_decide import (
    CREATE,
    PAID,
    SCAN,
    TODAY,
    UPDATE,
    decided,
    history,
    intent,
    rules,
    seen,
)

GROUPS = ({"group_id": "g-1", "name": "No Reminders"}, {"group_id": "g-2", "name": "Wholesale"})


@pytest.mark.parametrize(
    ("excluded", "groups", "rule"),
    [
        ([], None, "due"),
        ([], GROUPS, "due"),
        (["Retail"], GROUPS, "due"),
        (["Retail"], (), "due"),
        (["Retail"], None, "groups_unknown"),
        (["Wholesale"], GROUPS, "excluded_group"),
        (["  no REMINDERS "], GROUPS, "excluded_group"),
        (["G-2"], GROUPS, "excluded_group"),
    ],
)
def test_groups(excluded: list[str], groups: Any, rule: str) -> None:
    policy, snapshot = rules(exclude_groups=excluded), seen(contact={"groups": groups})
    assert decided(snapshot, SCAN, policy)[0][3] == rule
    assert decided(snapshot, CREATE, policy)[0][3] == rule
    last = still_wanted(intent(), snapshot, policy, NOON, history())
    assert (last.verdict.value, last.rule) == (("send" if rule == "due" else "cancel"), rule)


@pytest.mark.parametrize("entry", ["asha traders", "ASHA  TRADERS", "9C0F8A34-2f0e-4a9d-b0a1-7c6c1f2d3e45"])
def test_an_excluded_contact_gets_nothing_at_all(entry: str) -> None:
    policy = rules(exclude_contacts=[entry], alerts={"paid": True})
    assert decided(seen(), SCAN, policy)[0][3] == "excluded"
    assert decided(seen(), CREATE, policy)[0][3] == "excluded"
    assert decided(seen(invoice=PAID), UPDATE, policy, before=seen())[-1][3] == "excluded"


def test_groups_that_a_reading_does_not_tell_stay_as_they_were_known() -> None:
    known = seen(contact={"groups": GROUPS}, read_at=NOON)
    later = seen(read_at=NOON + timedelta(hours=1))
    assert later.after(known).contact.groups == known.contact.groups
    assert known.after(later).contact.groups == known.contact.groups
    emptied = seen(contact={"groups": ()}, read_at=NOON + timedelta(hours=1))
    assert emptied.after(known).contact.groups == ()
    other = seen(contact={"contact_id": "other"}, read_at=NOON + timedelta(hours=1))
    assert other.after(known).contact.groups is None


def left(hours_ago: float, state: MessageState = MessageState.SENT, stage: int = 3) -> Intent:
    return intent(stage=stage, state=state, claimed_at=NOON - timedelta(hours=hours_ago))


@pytest.mark.parametrize(
    ("earlier", "rule"),
    [
        # It is 17:30 in India.
        (left(0.1), "reminded_today"),
        (left(17.4), "reminded_today"),
        (left(17.6), "due"),
        (left(1, MessageState.UNKNOWN), "reminded_today"),
        (left(1, MessageState.SENDING), "reminded_today"),
        (left(1, MessageState.READ), "reminded_today"),
        (left(1, MessageState.FAILED), "due"),
        (left(1, MessageState.CANCELLED), "due"),
        (left(1, MessageState.SUPPRESSED), "due"),
        (intent(MessageKind.ISSUED, None, MessageState.SENT, claimed_at=NOON), "due"),
    ],
)
def test_one_reminder_of_an_invoice_a_day(earlier: Intent, rule: str) -> None:
    assert decided(seen(), past=history(earlier)) == [("reminder", 7, "plan" if rule == "due" else "skip", rule)]
    last = still_wanted(intent(), seen(), rules(), NOON, history(earlier))
    assert (last.verdict.value, last.rule) == (("send" if rule == "due" else "cancel"), rule)


@pytest.mark.parametrize(
    ("hours_ago", "rule"),
    [
        (5, "reminded_today"),  # another day in Auckland, where it is midnight; the same in London
        (13.5, "due"),
    ],
)
def test_a_day_is_the_organisations_and_the_persons(hours_ago: float, rule: str) -> None:
    snapshot = Snapshot.of(
        make_enriched(
            invoice={"due_on": date(2026, 6, 17)},
            contact={"phone": "+447400123456"},
            organisation={"time_zone": "Pacific/Auckland", "country": "NZ"},
        )
    )
    always = {"start": "00:00", "end": "24:00", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
    now = datetime(2026, 6, 23, 12, 1, tzinfo=UTC)
    earlier = intent(stage=3, state=MessageState.SENT, claimed_at=now - timedelta(hours=hours_ago))
    past = history(earlier)
    assert decided(snapshot, past=past, now=now, policy=rules(contact_hours=always))[0][3] == rule


@pytest.mark.parametrize(
    ("promised", "rule"), [(-1, "due"), (0, "promised"), (1, "promised"), (400, "promised"), (None, "due")]
)
def test_a_promise_is_believed_through_its_day(promised: int | None, rule: str) -> None:
    on = None if promised is None else TODAY + timedelta(days=promised)
    snapshot = seen(invoice={"expected_payment_on": on})
    assert decided(snapshot)[0][3] == rule
    assert still_wanted(intent(), snapshot, rules(), NOON, history()).rule == rule


@pytest.mark.parametrize(
    ("week", "month", "caps", "rule"),
    [
        (0, 0, (0, 10), "weekly_cap"),
        (0, 0, (3, 0), "monthly_cap"),
        (2, 2, (3, 10), "due"),
        (3, 3, (3, 10), "weekly_cap"),
        (0, 10, (3, 10), "monthly_cap"),
        (2, 9, (3, 10), "due"),
        (4, 11, (3, 10), "weekly_cap"),
    ],
)
def test_caps(week: int, month: int, caps: tuple[int, int], rule: str) -> None:
    policy = rules(caps={"per_contact_per_week": caps[0], "per_contact_per_month": caps[1]})
    past = history(reminders_this_week=week, reminders_this_month=month)
    assert decided(seen(), policy=policy, past=past)[0][3] == rule
    assert still_wanted(intent(), seen(), policy, NOON, past).rule == rule


@pytest.mark.parametrize(("due", "rule"), [("99.99", "below_minimum"), ("100", "due"), ("100.01", "due")])
def test_the_minimum_is_of_what_is_still_due_and_for_reminders_only(due: str, rule: str) -> None:
    policy, snapshot = rules(minimum_amount=100), seen(invoice={"amount_due": due})
    assert decided(snapshot, policy=policy)[0][3] == rule
    assert still_wanted(intent(), snapshot, policy, NOON, history()).rule == rule
    assert decided(snapshot, CREATE, policy)[0][3] == "due"


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_of_two_versions_of_an_invoice_the_later_counts_whatever_the_clocks_said(hours: int) -> None:
    """Xero says when it changed; the machine that read it may be an hour behind."""
    owed = seen(read_at=NOON)
    read_at = NOON + timedelta(hours=hours)
    paid = seen(invoice={**PAID, "updated_at": NOON + timedelta(minutes=1)}, read_at=read_at)
    assert paid.after(owed) == owed.after(paid) == paid


def test_without_xeros_word_the_later_reading_counts() -> None:
    owed = seen(invoice={"updated_at": None}, read_at=NOON)
    paid = seen(invoice=PAID, read_at=NOON + timedelta(minutes=1))
    assert paid.after(owed) == owed.after(paid) == paid
