"""Which reminders become one statement, what that says, and how long the first waits."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from babel import Locale

from notifier.catalogue import Catalogue, load_catalogue
from notifier.decide import decide
from notifier.gathering import GATHERING, Group, GroupStep, Member, gathers, group
from notifier.looks import LOOKS_AT_ONCE, looks_for, patience
from notifier.model import Decision, Verdict
from notifier.rendering import LONGEST_TEXT
from notifier.statement_text import render_statement, totals, with_room
from notifier.still_wanted import FRESH_FOR
from notifier.template_examples import check_templates, needed_by
from shared.contracts.messages import MessageKind
from shared.contracts.scans import LONGEST_SCAN
from shared.errors import ConfigurationError
from shared.policy import Policy, TenantPolicy
from support.builders import NOON
from unit.notifier.test_decide import SCAN, history, intent, rules, seen

GROUPS = rules(group_by_contact=True)
CATALOGUE = load_catalogue(Path(__file__).parents[3] / "config" / "policy.yaml")
LATER = NOON + timedelta(seconds=30)


def member(name: str, verdict: Verdict | None = Verdict.SEND, days: int = 7, **changes: Any) -> Member:
    """A reminder with the last look's verdict; None while its snapshot is too old."""
    of_intent = {"looks": changes.pop("looks", 0), "look_after": changes.pop("look_after", None)}
    own = replace(intent(), intent_id=name, invoice_id=name, **of_intent)
    changes["invoice"] = {"invoice_id": name, **changes.get("invoice", {})}
    decision = None if verdict is None else Decision(MessageKind.REMINDER, 7, verdict, "a rule")
    return Member(own, seen(days, **changes), decision)


def names(found: Group) -> tuple[str, ...]:
    return tuple(each.intent.intent_id for each in found.together)


LEAD = member("lead")


@pytest.mark.parametrize(
    ("siblings", "step", "together", "aside"),
    [
        ([], GroupStep.LEAVE, "lead", ""),
        ([member("a")], GroupStep.LEAVE, "a lead", ""),
        ([member("lead")], GroupStep.LEAVE, "lead", ""),
        ([member("a", days=30), member("b", days=9)], GroupStep.LEAVE, "a b lead", ""),
        # Its own rule keeps one back; the others do not wait for it.
        ([member("a", Verdict.CANCEL), member("b")], GroupStep.LEAVE, "b lead", "a"),
        ([member("a", Verdict.HOLD)], GroupStep.LEAVE, "lead", "a"),
        ([member("a", Verdict.SUPPRESS)], GroupStep.LEAVE, "lead", "a"),
        ([member("a", Verdict.POSTPONE)], GroupStep.LEAVE, "lead", "a"),
        # What is too old is read first, once; what was asked for a minute ago in vain is left behind.
        ([member("a", None)], GroupStep.ASK, "lead", ""),
        ([member("a", None), member("b", None, looks=1, look_after=LATER)], GroupStep.ASK, "lead", ""),
        ([member("a", None, looks=1, look_after=LATER)], GroupStep.WAIT, "lead", ""),
        ([member("a", None, looks=1, look_after=NOON)], GroupStep.LEAVE, "lead", ""),
        ([member("a", None, looks=2, look_after=LATER)], GroupStep.LEAVE, "lead", ""),
        ([member("a", None), member("b", Verdict.CANCEL)], GroupStep.ASK, "lead", "b"),
        # Another contact or another number is another customer, by now.
        ([member("a", contact={"contact_id": "other"})], GroupStep.LEAVE, "lead", ""),
        ([member("a", contact={"phone": "+919876543211"})], GroupStep.LEAVE, "lead", ""),
        ([member("a", Verdict.CANCEL, contact={"phone": None})], GroupStep.LEAVE, "lead", ""),
    ],
)
def test_what_leaves_together(siblings: list[Member], step: GroupStep, together: str, aside: str) -> None:
    found = group(LEAD, siblings, NOON)
    assert (found.step, names(found)) == (step, tuple(together.split()))
    assert [each.intent.intent_id for each in found.aside] == aside.split()


@pytest.mark.parametrize(
    ("kind", "stage", "grouped"),
    [
        (MessageKind.REMINDER, 1, True),
        (MessageKind.REMINDER, 0, False),
        (MessageKind.REMINDER, -3, False),
        (MessageKind.ISSUED, None, False),
        (MessageKind.PAID, None, False),
    ],
)
def test_only_overdue_reminders_are_gathered(kind: MessageKind, stage: int | None, grouped: bool) -> None:
    assert gathers(GROUPS, kind, stage) is grouped
    assert not gathers(rules(), kind, stage)


def test_the_first_waits_as_long_as_a_scan_may_last_and_the_others_join_it() -> None:
    assert GATHERING >= LONGEST_SCAN
    assert GATHERING >= FRESH_FOR  # so that they are read anew, behind all that the scan has said
    (first,) = decide(None, seen(), SCAN, GROUPS, NOON, history())
    assert (first.due_at, first.gathers) == (NOON + GATHERING, True)
    soon = NOON + timedelta(minutes=3)
    (second,) = decide(None, seen(), SCAN, GROUPS, NOON, history(gathers_until=soon, reminders_this_week=1))
    assert second.due_at == soon
    (late,) = decide(None, seen(), SCAN, GROUPS, NOON, history(gathers_until=NOON - timedelta(hours=1)))
    assert late.due_at == NOON
    (today,) = decide(None, seen(0), SCAN, GROUPS, NOON, history(gathers_until=soon))
    assert (today.due_at, today.gathers) == (NOON, False)


def test_what_joins_is_no_further_message_to_the_caps() -> None:
    full: dict[str, Any] = {"reminders_this_week": 3, "reminders_this_month": 10}
    (joins,) = decide(None, seen(), SCAN, GROUPS, NOON, history(gathers_until=NOON, **full))
    assert joins.rule == "due"
    (alone,) = decide(None, seen(), SCAN, GROUPS, NOON, history(**full))
    assert alone.rule == "weekly_cap"
    (not_overdue,) = decide(None, seen(0), SCAN, GROUPS, NOON, history(gathers_until=NOON, **full))
    assert not_overdue.rule == "weekly_cap"


def of(*amounts: tuple[str, str], days: int = 7) -> list[Member]:
    return [
        member(f"i{n}", days=days + n, invoice={"currency": currency, "amount_due": Decimal(amount)})
        for n, (currency, amount) in enumerate(amounts)
    ]


@pytest.mark.parametrize(("language", "month"), [("en", "Jun"), ("hi", "जून")])
def test_a_statement_says_count_totals_and_the_oldest(language: str, month: str) -> None:
    members = of(("USD", "420"), ("INR", "12500"), ("INR", "25000.50"))[::-1]
    message = render_statement([each.snapshot for each in members], rules(language=language), CATALOGUE)
    said = dict(message.parameters)
    assert (message.template, message.language) == ("statement", language)
    assert (said["invoice_count"], said["totals"]) == ("3", "INR 37,500.50 + USD 420.00")
    assert said["oldest_due_date"] == f"14 {month} 2026"
    assert set(said) == set(CATALOGUE.parameters("statement"))


def test_a_total_is_never_cut() -> None:
    many = of(*((currency, "1000000") for currency in ("INR", "USD", "EUR", "GBP", "AUD", "NZD", "JPY")))
    chosen = with_room(many, rules(), CATALOGUE)
    said = dict(render_statement([each.snapshot for each in chosen], rules(), CATALOGUE).parameters)
    assert 1 < len(chosen) < len(many)
    assert len(said["totals"]) <= LONGEST_TEXT
    assert "…" not in said["totals"]
    with pytest.raises(ValueError, match="must not be cut"):
        render_statement([each.snapshot for each in many], rules(), CATALOGUE)
    assert list(with_room(many[:2], rules(), CATALOGUE)) == many[:2]


def test_money_adds_up_without_rounding() -> None:
    parts = of(*[("INR", "0.10")] * 30)
    assert totals([each.snapshot for each in parts], Locale.parse("en_IN")) == "INR 3.00"


def test_a_policy_that_groups_needs_the_template() -> None:
    policy = Policy(tenants={"t": TenantPolicy(group_by_contact=True)})
    assert ("statement", "en") in needed_by(policy, CATALOGUE)
    assert ("statement", "en") not in needed_by(Policy(), CATALOGUE)
    bare = Catalogue({name: template for name, template in CATALOGUE if name != "statement"})
    check_templates(Policy(), bare)
    with pytest.raises(ConfigurationError, match=r"templates\.yaml: statement: is missing"):
        check_templates(policy, bare)


def test_what_leaves_together_is_asked_for_by_one_request() -> None:
    waiting: dict[str, str | None] = {f"alone{n}": None for n in range(LOOKS_AT_ONCE - 1)}
    waiting |= {"lead": "c", "a": None, "b": None}
    requests = looks_for("t", waiting, with_link=False, whole={"a": "lead", "b": "lead"})
    assert [look.request.invoice_ids[-3:] for look in requests][-1] == ("lead", "a", "b")
    assert [len(look.request.invoice_ids) for look in requests] == [LOOKS_AT_ONCE - 1, 3]
    assert patience(0) == timedelta(minutes=1)
