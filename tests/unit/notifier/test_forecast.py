"""The plan is what happens when nothing else does, message by message, and it says why others get none."""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import pytest

from notifier.forecast import forecast
from notifier.forecast_book import Facts
from notifier.halts import Halts, OpenBreaker, Switch
from notifier.model import Intent, Snapshot, Tenant
from notifier.rule_words import in_words
from notifier.whatsapp_errors import Scope
from shared.contracts.messages import MessageKind, MessageState
from shared.policy import TenantPolicy
from support.builders import NOON, TENANT, make_enriched
from support.quiet_week import QuietWeek
from support.sizes import rounds
from support.year_books import COUNTRY_OF_ZONE, organisation

WEEK = timedelta(days=7)
CONNECTED = Tenant(TENANT, NOON - timedelta(days=900), announced=True, lost=False)


@pytest.mark.parametrize("number", range(rounds(60, 12)))
async def test_the_plan_of_a_week_is_what_leaves_when_nothing_happens(number: int) -> None:
    zone = sorted(COUNTRY_OF_ZONE)[number % len(COUNTRY_OF_ZONE)]
    days = 40 + 3 * number
    books = organisation(Random(number), number, zone, days)
    week = QuietWeek(books, days, number)
    facts = await week.go_quiet()
    now = week.now
    said = forecast(facts, week.rules(), now, WEEK)
    await week.go_on(WEEK)
    assert said.scans
    foretold = Counter((item.snapshot.invoice.invoice_id, item.kind.value, item.stage) for item in said.coming)
    told = [
        (account.invoice_id, stage, post)
        for post in week.posts
        for account, stage in zip(post.accounts, post.stages, strict=True)
    ]
    assert foretold == Counter((invoice_id, post.kind, stage) for invoice_id, stage, post in told)
    at = {(item.snapshot.invoice.invoice_id, item.stage): item.at for item in said.coming}
    assert all(
        timedelta(0) <= post.at - at[invoice_id, stage] < timedelta(minutes=2) for invoice_id, stage, post in told
    )


def facts(*snapshots: Snapshot, **changes: Any) -> Facts:
    return replace(Facts(CONNECTED, snapshots, 0, (), {}, {}), **changes)


def invoice(number: int = 1, due_on: date = date(2026, 6, 16), person: int = 1, **contact: Any) -> Snapshot:
    return Snapshot.of(
        make_enriched(
            invoice={"invoice_id": f"i{number}", "number": f"INV-{number}", "due_on": due_on},
            contact={"contact_id": f"c{person}", "phone": f"+91987654000{person}", **contact},
        )
    )


RULES = TenantPolicy.model_validate({"scan_spread_minutes": 0})


def said(known: Facts, now: datetime = NOON, **rules: Any) -> tuple[list[tuple[Any, ...]], dict[str, tuple[str, ...]]]:
    found = forecast(known, TenantPolicy.model_validate({"scan_spread_minutes": 0} | rules), now)
    lines = [(item.snapshot.invoice.invoice_id, item.stage, item.held_by) for item in found.coming]
    return lines, {item.snapshot.invoice.invoice_id: item.rules for item in found.silent}


def test_stages_of_the_coming_days_leave_after_their_scans_in_the_recipients_day() -> None:
    found = forecast(facts(invoice(due_on=date(2026, 6, 24))), RULES, NOON)
    assert [(item.at.isoformat(), item.zone, item.stage, item.template) for item in found.coming] == [
        ("2026-06-24T03:30:00+00:00", "Asia/Kolkata", 0, "invoice_due_today"),
        ("2026-06-27T03:30:00+00:00", "Asia/Kolkata", 3, "invoice_overdue"),
    ]
    assert len(found.scans) == 7


def test_what_would_leave_counts_against_the_caps_of_the_days_after_it() -> None:
    many = [invoice(number, date(2026, 6, 24)) for number in range(5)]
    lines, silent = said(facts(*many), caps={"per_contact_per_week": 2, "per_contact_per_month": 10})
    assert [line[:2] for line in lines] == [("i0", 0), ("i1", 0)]
    assert [rules[0] for rules in silent.values()] == ["weekly_cap"] * 3


@pytest.mark.parametrize(
    ("snapshot", "changes", "rule"),
    [
        (invoice(due_on=date(2026, 9, 1)), {}, "no_stage_due"),
        (invoice(phone=None, no_phone_reason="invalid"), {}, "no_phone_invalid"),
        (invoice(status="ARCHIVED"), {}, "contact_not_active"),
        (invoice(), {"opted_out": frozenset({"+919876540001"})}, "opted_out"),
    ],
)
def test_an_invoice_without_a_message_says_by_which_rule(snapshot: Snapshot, changes: Any, rule: str) -> None:
    lines, silent = said(facts(snapshot, **changes))
    assert lines == []
    assert silent["i1"][0] == rule
    assert in_words(rule) != rule


def test_what_keeps_messages_back_is_said_beside_each() -> None:
    breaker = OpenBreaker(Scope.TEMPLATE, "invoice_overdue", "whatsapp_132015", NOON, NOON)
    halts = Halts((Switch("*", "asha", NOON),), (breaker,))
    lines, _ = said(facts(invoice(due_on=date(2026, 6, 21)), halts=halts))
    assert lines == [("i1", 3, ("paused", "stopped:whatsapp_132015")), ("i1", 7, ("paused", "stopped:whatsapp_132015"))]
    lost = replace(CONNECTED, lost=True)
    assert said(facts(invoice(), tenant=lost))[0][0][2] == ("connection_lost",)


def test_approval_back_book_and_preview_hold_what_is_shown() -> None:
    open_one = facts(invoice(due_on=date(2026, 6, 23)))
    assert {line[2] for line in said(open_one, mode="approval")[0]} == {("approval",)}
    assert {line[2] for line in said(open_one, mode="preview")[0]} == {("preview",)}
    new = replace(CONNECTED, connected_at=NOON)
    assert {line[2] for line in said(facts(invoice(), tenant=new))[0]} == {("back_book",)}


def test_a_wave_is_shown_held_whole() -> None:
    many = [invoice(number, date(2026, 6, 24), person=number % 10) for number in range(30)]
    many = [
        invoice(number, date(2026, 6, 24), contact_id=f"c{number}", phone=f"+9198765{number:05}")
        for number in range(30)
    ]
    lines, _ = said(facts(*many), brake={"usual_floor": 20, "usual_times": 0, "per_tenant_per_hour": 20})
    first = [line for line in lines if line[1] == 0]
    assert [line[2] for line in first] == [("brake",)] * 30


def test_a_message_that_waits_is_shown_with_when_it_leaves() -> None:
    intent = Intent(
        intent_id="x", tenant_id=TENANT, invoice_id="i1", invoice_number="INV-1", contact_id="c1",
        kind=MessageKind.REMINDER, stage=7, state=MessageState.PLANNED, reason=None, due_on=date(2026, 6, 16),
        due_at=NOON + timedelta(hours=1), created_at=NOON, claimed_at=None, released=False, tries=0,
        correlation_id=None,
    )  # fmt: skip
    found = forecast(facts(invoice(), intents=(intent,), phones={"x": "+919876540001"}), RULES, NOON)
    first = found.coming[0]
    assert (first.at, first.known, first.stage) == (NOON + timedelta(hours=1), True, 7)


def test_nothing_read_is_nothing_known() -> None:
    assert forecast(facts(), RULES, NOON).zone is None
