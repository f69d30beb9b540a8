"""Every way in which a day comes otherwise than foretold has its rule; nothing is left unexplained."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest

from notifier.day_plan import DayPlan, Foretold, read_plan
from notifier.forecast_book import Key
from notifier.model import Intent, Snapshot
from notifier.reconciliation import Decided, Happened, compare
from shared.contracts.messages import MessageKind, MessageState
from support.builders import NOON, TENANT, make_enriched
from support.planned_year import PlannedYear, figures
from support.sizes import rounds
from support.year_books import COUNTRY_OF_ZONE, organisation

DAYS = rounds(180, 60)


@pytest.mark.timeout(600)
async def test_every_difference_of_a_simulated_stretch_is_explained() -> None:
    """Payments, moved dates, promises, STOPs, lost webhooks, missed scans, refusals and answers that never came."""
    rules, left, foretold, came = Counter[str](), list[object](), 0, 0
    for number in range(rounds(60, 12)):
        zone = sorted(COUNTRY_OF_ZONE)[number % len(COUNTRY_OF_ZONE)]
        books = organisation(Random(f"plan {number}"), number, zone, DAYS)
        year = PlannedYear(books, DAYS, number)
        await year.play()
        found, unexplained = figures(year.comparisons)
        rules += found
        left += [(number, item) for item in unexplained]
        foretold += sum(each.foretold for each in year.comparisons)
        came += sum(each.as_foretold for each in year.comparisons)
    assert left == []
    assert came > foretold / 2 > 50
    assert {"paid", "due_date_changed", "scan_missed", "new_invoice", "promised"} <= rules.keys()


SOON = NOON + timedelta(hours=1)
KEY: Key = ("i1", MessageKind.REMINDER, 7)
FORETOLD = Foretold("i1", "INV-1", MessageKind.REMINDER, 7, date(2026, 6, 16), SOON)
PLAN = DayPlan(date(2026, 6, 23), NOON, NOON + timedelta(hours=6), (FORETOLD,), {})
READ = Snapshot.of(make_enriched(invoice={"invoice_id": "i1", "number": "INV-1"}, read_at=SOON))


def intent(**changes: Any) -> Intent:
    whole = Intent(
        intent_id="x",
        tenant_id=TENANT,
        invoice_id="i1",
        invoice_number="INV-1",
        contact_id="c1",
        kind=MessageKind.REMINDER,
        stage=7,
        state=MessageState.PLANNED,
        reason=None,
        due_on=date(2026, 6, 16),
        due_at=SOON,
        created_at=NOON,
        claimed_at=None,
        released=False,
        tries=0,
        correlation_id=None,
    )
    return replace(whole, **changes)


def happened(known: Intent | None = None, snapshot: Snapshot | None = READ, **changes: Any) -> Happened:
    intents: dict[Key, Intent] = {KEY: known} if known else {}
    return replace(Happened(intents, {}, {"i1": snapshot} if snapshot else {}), **changes)


def rules_of(plan: DayPlan, what: Happened) -> list[str | None]:
    return [item.rule for item in compare(plan, what).differences]


def decided(rule: str, verdict: str = "skip", key: Any = KEY) -> dict[Any, Decided]:
    return {key: Decided(key, verdict, rule, SOON)}


@pytest.mark.parametrize(
    ("what", "rules"),
    [
        (happened(intent(state=MessageState.DELIVERED, claimed_at=SOON)), []),
        (happened(intent(state=MessageState.HELD, reason="brake")), ["brake"]),
        (happened(intent(state=MessageState.CANCELLED, reason="opted_out")), ["opted_out"]),
        (happened(intent(), paused=True), ["paused"]),
        (happened(intent(), stopped=["whatsapp_131042"]), ["stopped:whatsapp_131042"]),
        (happened(intent(looks=2)), ["not_read_yet"]),
        (happened(intent(), lost=True), ["connection_lost"]),
        (happened(lost=True), ["connection_lost"]),
        (happened(), ["scan_missed"]),
        (happened(decisions=decided("weekly_cap")), ["weekly_cap"]),
        (happened(snapshot=READ.without_person()), ["erased"]),
        (happened(snapshot=None), ["forgotten"]),
        (happened(intent(state=MessageState.FAILED, claimed_at=SOON, reason="whatsapp_131026")), ["whatsapp_131026"]),
        # What nothing explains is said to be so.
        (happened(intent()), [None]),
        (happened(decisions=decided("due", "plan", ("i2", MessageKind.REMINDER, 0))), [None]),
    ],
)
def test_what_did_not_leave_has_the_rule_that_kept_it(what: Happened, rules: list[str | None]) -> None:
    assert rules_of(PLAN, what) == rules


def test_what_left_though_it_was_foretold_to_wait() -> None:
    held = replace(PLAN, messages=(replace(FORETOLD, held_by=("approval",)),))
    left = intent(state=MessageState.DELIVERED, claimed_at=SOON, released=True)
    assert rules_of(held, happened(left)) == ["released"]
    assert rules_of(held, happened(intent(state=MessageState.HELD, reason="approval"))) == []


@pytest.mark.parametrize(
    ("others", "rule"),
    [
        ({}, "new_invoice"),
        ({"i1": (date(2026, 6, 20), ("no_stage_due",))}, "due_date_changed"),
        ({"i1": (date(2026, 6, 16), ("promised",))}, "no_longer:promised"),
        ({"i1": (date(2026, 6, 16), ("no_stage_due",))}, None),
    ],
)
def test_what_left_and_was_not_foretold(others: Any, rule: str | None) -> None:
    plan = replace(PLAN, messages=(), others=others)
    assert rules_of(plan, happened(intent(state=MessageState.READ, claimed_at=SOON))) == [rule]


def test_a_plan_is_read_as_it_was_kept() -> None:
    plan = replace(PLAN, others={"i2": (None, ("no_due_date",))})
    assert read_plan(plan.day, plan.made_at, plan.ends_at, plan.as_json()) == plan
