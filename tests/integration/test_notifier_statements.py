"""Overdue invoices of one contact leave in one message, and whatever becomes of it becomes of all of them."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.answers import close, release, resend, why
from notifier.gathering import GATHERING
from notifier.halts import CLAIM_SPACING
from notifier.ports import Accepted, Attempt, Pace, Rejected, Unknown
from notifier.tables import attempts, breakers, intents, recipients, statement_intents
from notifier.whatsapp_errors import HANDLINGS, handling
from shared.contracts.messages import MessageChangedV1
from shared.contracts.scans import InvoiceLookRequestedV1
from shared.policy import Policy
from support.builders import NOON, TENANT
from support.notifier import World, status_update, tenant_policy, world

pytestmark = pytest.mark.integration

HOURS = {"start": "00:00", "end": "24:00", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "holidays": False}


def grouped(**rules: Any) -> Policy:
    return tenant_policy(group_by_contact=True, contact_hours=HOURS, **rules)


def overdue(number: int, days: int = 7, **changes: Any) -> dict[str, Any]:
    """An invoice of ``number`` hundred; the same whenever it is read."""
    fields = {"amount_due": number * 100, "due_on": NOON.date() - timedelta(days=days), **changes}
    return {"invoice_id": f"i{number}", "number": f"INV-{number}", **fields}


async def gathered(notifier: World, *invoices: dict[str, Any]) -> None:
    """A scan tells of them one after another, their time passes, and the look that they ask for is answered."""
    for invoice in invoices:
        await notifier.take_in(invoice=invoice)
        await notifier.sender.run_once()
        notifier.clock.forward(seconds=20)
    assert notifier.provider.posts == []
    notifier.clock.now = NOON + GATHERING + timedelta(seconds=1)
    await notifier.sender.run_once()
    assert notifier.provider.posts == []
    for invoice in invoices:
        await notifier.look_answered(invoice=invoice)


def said(notifier: World) -> list[dict[str, str]]:
    return [dict(message.parameters) for message, _ in notifier.provider.posts]


def templates(notifier: World) -> list[str]:
    return [message.template for message, _ in notifier.provider.posts]


async def tell(notifier: World, status: str, post: int = 0, **changes: Any) -> list[MessageChangedV1]:
    reference = notifier.provider.posts[post][1]
    return list(await notifier.learn(status_update(status, reference, f"wamid.{reference}", **changes)))


THREE = (overdue(1), overdue(2, 30), overdue(3, 15))


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


async def gathered_with_clock(notifier: World, *invoices: dict[str, Any]) -> None:
    for invoice in invoices:
        await notifier.take_in(invoice=invoice)
    await notifier.sender.run_once()
    notifier.clock.forward(seconds=GATHERING.total_seconds() + 1)
    await notifier.sender.run_once()
    for invoice in invoices:
        await notifier.look_answered(invoice=invoice)


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


async def test_two_replicas_post_one_statement(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *(overdue(number) for number in range(1, 13)))
        await asyncio.gather(notifier.sender.run_once(), notifier.another_sender().run_once())
        assert [texts["invoice_count"] for texts in said(notifier)] == ["12"]
        assert len(await notifier.rows(attempts)) == 1


async def test_all_are_claimed_or_none(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        (due, *_) = await notifier.ledger.due(notifier.clock.now, 10)
        async with notifier.ledger.open(TENANT, notifier.clock.now) as book:
            lead = await book.intent(due.intent_id)
            assert lead is not None
            others = [each.intent for each in await book.siblings(lead, lead.contact_id, notifier.clock.now, 10)]
        async with notifier.engine.begin() as db:
            moved = sa.update(intents).where(intents.c.intent_id == others[0].intent_id)
            await db.execute(moved.values(state="cancelled"))
        async with notifier.ledger.open(TENANT, notifier.clock.now) as book:
            attempt = Attempt("v1.x", lead.intent_id, TENANT, "+919876543210", "statement")
            assert not await book.claim(lead, attempt, notifier.clock.now, others)
        assert sorted(await notifier.states()) == ["cancelled", "planned", "planned"]
        assert await notifier.rows(attempts) == []


async def test_a_crash_after_the_claim_leaves_all_unknown_and_one_status_settles_all(database_url: str) -> None:
    class Killed(BaseException):
        pass

    async def die() -> None:
        assert await notifier.states() == ["sending"] * 3
        raise Killed

    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        notifier.provider.meanwhile = die
        with pytest.raises(Killed):
            await notifier.sender.run_once()
        notifier.provider.meanwhile = None
        survivor = notifier.another_sender()
        notifier.clock.forward(seconds=61)
        await survivor.run_once()
        assert await notifier.states() == ["unknown"] * 3
        for _ in range(3):
            notifier.clock.forward(days=1)
            await survivor.run_once()
        assert len(notifier.provider.posts) == 1
        await tell(notifier, "delivered")
        assert await notifier.states() == ["delivered"] * 3


@pytest.mark.parametrize("code", [130429, 131056, 2])
async def test_a_retryable_refusal_sends_the_statement_once_more(database_url: str, code: int) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        notifier.provider.answers.append(Rejected(f"whatsapp_{code}", handling(code), code))
        await notifier.sender.run_once()
        assert await notifier.states() == ["planned"] * 3
        for _ in range(4):
            notifier.clock.forward(minutes=2)
            await notifier.sender.run_once()
        assert [texts["invoice_count"] for texts in said(notifier)] == ["3", "3"]
        assert await notifier.states() == ["accepted"] * 3


async def test_what_is_paid_between_two_tries_is_not_in_the_second(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        notifier.provider.answers.append(Rejected("whatsapp_131056", handling(131056), 131056))
        await notifier.sender.run_once()
        await notifier.look_answered(invoice={**THREE[0], "status": "PAID", "amount_paid": 100, "amount_due": 0})
        notifier.clock.forward(minutes=5)
        await notifier.sender.run_once()
        assert [texts["totals"] for texts in said(notifier)] == ["INR 600.00", "INR 500.00"]
        # Good news of the first try is believed of all that were in it; the second's is of two.
        await tell(notifier, "read", post=1)
        assert sorted(await notifier.states()) == ["cancelled", "read", "read"]


async def test_a_refusal_for_good_fails_all_of_them(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        notifier.provider.answers.append(Rejected("whatsapp_131026", HANDLINGS[131026], 131026))
        await notifier.sender.run_once()
        assert await notifier.states() == ["failed"] * 3
        failed = [change for change in notifier.events.of(MessageChangedV1) if change.state == "failed"]
        assert [change.statement_of for change in failed] == [3, 3, 3]


@pytest.mark.parametrize("status", ["delivered", "failed"])
async def test_a_status_before_the_answer_is_all_of_theirs(database_url: str, status: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)

        async def early() -> None:
            reference = notifier.provider.posts[-1][1]
            raw = {"errors": [{"code": 131026}]} if status == "failed" else {}
            await notifier.learn(status_update(status, reference, f"wamid.{reference}", raw=raw))

        notifier.provider.meanwhile = early
        await notifier.sender.run_once()
        assert await notifier.states() == [status] * 3
        assert len(notifier.provider.posts) == 1


async def test_an_account_fault_told_by_a_status_plans_all_again_and_burns_nothing(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        await notifier.sender.run_once()
        await tell(notifier, "failed", raw={"errors": [{"code": 131042}]})
        assert {(row.state, row.tries) for row in await notifier.rows()} == {("planned", 0)}


async def test_a_person_settles_the_whole_statement_by_one_of_its_invoices(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        notifier.provider.answers.append(Unknown("timeout"))
        await notifier.sender.run_once()
        assert await notifier.states() == ["unknown"] * 3
        assert len(await resend(notifier.engine, TENANT, notifier.clock.now, "INV-2")) == 3
        notifier.provider.answers.append(Unknown("timeout"))
        notifier.clock.forward(seconds=CLAIM_SPACING.total_seconds())
        await notifier.sender.run_once()
        assert [texts["invoice_count"] for texts in said(notifier)] == ["3", "3"]
        assert len(await close(notifier.engine, TENANT, notifier.clock.now, "INV-1")) == 3
        assert await notifier.states() == ["failed"] * 3


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


async def test_accepted_is_all_of_theirs(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        notifier.provider.answers.append(Accepted("wamid.1"))
        await notifier.sender.run_once()
        accepted = [change for change in notifier.events.of(MessageChangedV1) if change.state == "accepted"]
        assert sorted(change.invoice_id for change in accepted) == ["i1", "i2", "i3"]
