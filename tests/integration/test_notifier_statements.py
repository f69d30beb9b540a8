"""Overdue invoices of one contact leave in one message that says what is true of exactly those."""

from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.answers import release, why
from notifier.gathering import GATHERING
from notifier.halts import CLAIM_SPACING
from notifier.ports import Attempt, Pace
from notifier.tables import attempts, breakers, intents, recipients, statement_intents
from notifier.whatsapp_errors import HANDLINGS
from shared.contracts.scans import InvoiceLookRequestedV1
from shared.policy import Policy
from support.builders import NOON, TENANT
from support.notifier import world
from support.statements import HOURS, THREE, gathered, gathered_with_clock, grouped, overdue, said, tell, templates

pytestmark = pytest.mark.integration


async def test_three_overdue_invoices_are_one_message(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        await notifier.sender.run_once()
        ((message, reference),) = notifier.provider.posts
        assert (message.template, message.language) == ("statement", "en")
        assert message.parameters == (
            ("contact_name", "Asha Traders"),
            ("organisation_name", "Meera Textiles"),
            ("invoice_count", "3"),
            ("totals", "INR 600.00"),
            ("oldest_due_date", "24 May 2026"),
        )
        (attempt,) = await notifier.rows(attempts)
        assert attempt.reference == reference
        assert len(await notifier.rows(statement_intents)) == 3
        assert await notifier.states() == ["accepted"] * 3
        assert len(await notifier.rows(recipients)) == 1
        # A status is all of theirs, and every one of them tells of it.
        changes = await tell(notifier, "read")
        assert sorted(change.invoice_number for change in changes) == ["INV-1", "INV-2", "INV-3"]
        assert {(change.state.value, change.statement_of) for change in changes} == {("read", 3)}
        assert {answer.statement_of for answer in await why(notifier.engine, TENANT)} == {3}


async def test_the_first_waits_for_the_others_and_they_are_read_by_one_request(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await notifier.take_in(invoice=overdue(1))
        notifier.clock.forward(minutes=1)
        await notifier.take_in(invoice=overdue(2))
        notifier.clock.forward(minutes=8)
        await notifier.sender.run_once()
        assert notifier.events.of(InvoiceLookRequestedV1) == []
        # The second joins the first: it does not begin a time of its own.
        assert {row.due_at for row in await notifier.rows()} == {NOON + GATHERING}
        notifier.clock.now = NOON + GATHERING + timedelta(minutes=2)
        await notifier.sender.run_once()
        (request,) = notifier.events.of(InvoiceLookRequestedV1)
        assert sorted(request.invoice_ids) == ["i1", "i2"]
        await notifier.look_answered(invoice=overdue(1))
        await notifier.sender.run_once()
        assert notifier.provider.posts == []
        await notifier.look_answered(invoice=overdue(2))
        await notifier.sender.run_once()
        assert [texts["invoice_count"] for texts in said(notifier)] == ["2"]
        assert len(notifier.events.of(InvoiceLookRequestedV1)) == 1


async def test_one_that_xero_does_not_show_keeps_the_others_for_a_minute(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        for invoice in THREE:
            await notifier.take_in(invoice=invoice)
        notifier.clock.now = NOON + GATHERING + timedelta(seconds=1)
        await notifier.sender.run_once()
        for invoice in THREE[:2]:
            await notifier.look_answered(invoice=invoice)
        for _ in range(3):
            await notifier.sender.run_once()
        assert notifier.provider.posts == []
        notifier.clock.forward(seconds=61)
        await notifier.sender.run_once()
        assert [(texts["invoice_count"], texts["totals"]) for texts in said(notifier)] == [("2", "INR 300.00")]


async def test_a_sibling_that_only_the_claim_finds_old_is_asked_for_by_it(database_url: str) -> None:
    """It waits behind the breaker of its stage's template, and would not be asked for by itself."""
    async with world(database_url, grouped()) as notifier:
        await notifier.take_in(invoice=overdue(1))
        await notifier.take_in(invoice=overdue(2, 30))
        attempt = Attempt("v1.x", "", TENANT, "+919876543200", "invoice_overdue_final")
        async with notifier.engine.begin() as db:
            second = sa.update(intents).where(intents.c.invoice_id == "i2")
            await db.execute(second.values(waits_for=f"template:{attempt.template}"))
            paused = HANDLINGS[132015].breaker
            assert paused is not None
            values = {"scope": paused.scope.value, "name": attempt.template, "reason": "whatsapp_132015"}
            later = NOON + timedelta(hours=3)
            await db.execute(
                sa.insert(breakers).values(**values, opened_at=NOON, probe_at=later, probe=None, by_status=False)
            )
        notifier.clock.now = NOON + GATHERING + timedelta(seconds=1)
        await notifier.look_answered(invoice=overdue(1))
        await notifier.sender.run_once()
        assert notifier.provider.posts == []
        assert [request.invoice_ids for request in notifier.events.of(InvoiceLookRequestedV1)] == [("i2",)]
        await notifier.look_answered(invoice=overdue(2, 30))
        notifier.clock.forward(seconds=61)
        await notifier.sender.run_once()
        assert [texts["invoice_count"] for texts in said(notifier)] == ["2"]


@pytest.mark.parametrize(
    ("becomes", "rule"),
    [
        ({"status": "PAID", "amount_due": 0, "amount_paid": 200}, "paid"),
        ({"status": "VOIDED"}, "voided"),
        ({"expected_payment_on": NOON.date()}, "promised"),
        ({"amount_due": 5}, "below_minimum"),
        ({"due_on": date(2026, 6, 1)}, "due_date_changed"),
    ],
)
async def test_what_is_no_longer_wanted_drops_out_by_its_own_rule(
    database_url: str, becomes: dict[str, Any], rule: str
) -> None:
    async with world(database_url, grouped(minimum_amount=10)) as notifier:
        for invoice in THREE:
            await notifier.take_in(invoice=invoice)
        notifier.clock.now = NOON + GATHERING + timedelta(seconds=1)
        await notifier.sender.run_once()
        for invoice in (THREE[0], THREE[2], {**THREE[1], **becomes}):
            await notifier.look_answered(invoice=invoice)
        await notifier.sender.run_once()
        assert [(t["invoice_count"], t["totals"], t["oldest_due_date"]) for t in said(notifier)] == [
            ("2", "INR 400.00", "8 Jun 2026")
        ]
        rules = {answer.invoice_id: (answer.state, answer.rule) for answer in await why(notifier.engine, TENANT)}
        assert rules["i2"] == ("cancelled", rule)


async def test_a_single_one_left_over_leaves_as_its_stage(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, overdue(1), {**overdue(2), "status": "PAID"})
        await notifier.sender.run_once()
        assert templates(notifier) == ["invoice_overdue"]
        assert await notifier.rows(statement_intents) == []
        assert {answer.statement_of for answer in await why(notifier.engine, TENANT)} == {None}


async def test_other_people_other_kinds_and_what_is_not_overdue_stay_apart(database_url: str) -> None:
    async with world(database_url, grouped(alerts={"issued": True, "paid": True})) as notifier:
        another = {"contact_id": "another", "phone": "+919876543299"}
        await notifier.take_in(invoice=overdue(4), contact=another)
        await notifier.take_in(invoice=overdue(5, 0))
        await gathered_with_clock(notifier, overdue(1), overdue(2))
        await notifier.look_answered(invoice=overdue(4), contact=another)
        notifier.clock.forward(seconds=CLAIM_SPACING.total_seconds())
        await notifier.sender.run_once()
        assert sorted(templates(notifier)) == ["invoice_due_today", "invoice_overdue", "statement"]


async def test_what_another_organisation_is_owed_is_no_part_of_it(database_url: str) -> None:
    """Xero's ids are nobody's secret, and nothing says that two organisations cannot have one contact's id."""
    async with world(database_url, grouped()) as notifier:
        await notifier.take_in(tenant_id="another", invoice=overdue(4))
        await gathered_with_clock(notifier, overdue(1), overdue(2))
        await notifier.look_answered(tenant_id="another", invoice=overdue(4))
        for invoice in (overdue(1), overdue(2)):
            await notifier.look_answered(invoice=invoice)
        for _ in range(2):
            await notifier.sender.run_once()
            notifier.clock.forward(seconds=CLAIM_SPACING.total_seconds())
        assert sorted(templates(notifier)) == ["invoice_overdue", "statement"]
        assert {texts.get("invoice_count") for texts in said(notifier)} == {None, "2"}


async def test_currencies_have_their_own_totals_and_none_is_cut(database_url: str) -> None:
    currencies = ["INR", "USD", "EUR", "GBP", "AUD", "NZD", "SGD", "JPY"]
    invoices = [overdue(n + 1, 7, currency=currency) for n, currency in enumerate(currencies)]
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *invoices)
        await notifier.sender.run_once()
        notifier.clock.forward(seconds=61)
        await notifier.sender.run_once()
        told = said(notifier)
        assert len(told) == 2
        assert all(len(text) <= 80 and "\n" not in text for texts in told for text in texts.values())
        amounts = [amount for texts in told for amount in texts["totals"].split(" + ")]
        assert sorted(amounts) == sorted(
            f"{currency} {(n + 1) * 100}{'' if currency == 'JPY' else '.00'}" for n, currency in enumerate(currencies)
        )
        assert sum(int(texts["invoice_count"]) for texts in told) == len(currencies)


async def test_a_statement_is_one_reminder_to_the_cap_and_one_message_to_the_wave(database_url: str) -> None:
    caps = {"per_contact_per_week": 2, "per_contact_per_month": 10}
    brake = {"usual_floor": 1, "usual_times": 0, "hold_back_book": False}
    policy = Policy.model_validate(
        {"defaults": {"group_by_contact": True, "contact_hours": HOURS, "caps": caps, "brake": brake}}
    )
    async with world(database_url, policy) as notifier:
        await gathered(notifier, *(overdue(number) for number in range(1, 6)))
        await notifier.sender.run_once()
        assert [texts["invoice_count"] for texts in said(notifier)] == ["5"]
        notifier.clock.forward(days=2)
        await gathered_with_clock(notifier, overdue(6, 2), overdue(7, 3), overdue(8, 4))
        await notifier.sender.run_once()
        assert [texts["invoice_count"] for texts in said(notifier)] == ["5", "3"]
        notifier.clock.forward(days=1)
        await gathered_with_clock(notifier, overdue(9, 0))
        assert {a.invoice_id: a.rule for a in await why(notifier.engine, TENANT)}["i9"] == "weekly_cap"


async def test_the_brake_holds_statements_by_their_number_and_releases_them_together(database_url: str) -> None:
    brake = {"usual_floor": 1, "usual_times": 0, "hold_back_book": False}
    policy = Policy.model_validate({"defaults": {"group_by_contact": True, "contact_hours": HOURS, "brake": brake}})
    async with world(database_url, policy) as notifier:
        people = [{"contact_id": f"c{n}", "phone": f"+91987654321{n}"} for n in range(2)]
        for now in (NOON, NOON + GATHERING + timedelta(seconds=1)):
            notifier.clock.now = now
            for n, person in enumerate(people):
                for number in (1, 2):
                    await notifier.take_in(invoice=overdue(10 * n + number), contact=person)
        await notifier.sender.run_once()
        assert await notifier.states() == ["held"] * 4
        await release(notifier.engine, TENANT, notifier.clock.now)
        await notifier.sender.run_once()
        assert [texts["invoice_count"] for texts in said(notifier)] == ["2", "2"]


async def test_the_days_last_recipient_is_who_owes_most_in_all(database_url: str) -> None:
    async with world(database_url, grouped(), pace=Pace(per_second=1_000_000, daily_recipients=1)) as notifier:
        one, two = ({"contact_id": f"c{n}", "phone": f"+91987654321{n}"} for n in range(2))
        for now in (NOON, NOON + GATHERING + timedelta(seconds=1)):
            notifier.clock.now = now
            await notifier.take_in(invoice=overdue(5), contact=one)
            for number in (2, 3, 4):
                await notifier.take_in(invoice=overdue(number), contact=two)
        await notifier.sender.run_once()
        assert [texts["totals"] for texts in said(notifier)] == ["INR 900.00"]


async def test_a_statement_shows_the_oldest_invoices_page(database_url: str) -> None:
    async with world(database_url, grouped(online_link=True)) as notifier:
        await gathered(notifier, *THREE)
        notifier.events.published.clear()
        await notifier.sender.run_once()
        (request,) = notifier.events.of(InvoiceLookRequestedV1)
        assert (request.invoice_ids, request.with_link) == (("i2",), True)
        await notifier.look_answered(invoice={**THREE[1], "online_url": "https://in.xero.com/abc"})
        await notifier.sender.run_once()
        assert templates(notifier) == ["statement_with_link"]
        assert said(notifier)[0]["link"] == "https://in.xero.com/abc"
