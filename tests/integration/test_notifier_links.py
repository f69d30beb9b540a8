"""A message that shows a link asks for it once, waits for it a little, and leaves without what cannot be had."""

from datetime import timedelta
from typing import Any

import pytest

from notifier.answers import why
from notifier.links import LINK_PATIENCE
from notifier.looks import LOOKS
from shared.contracts.invoices import CauseKind
from shared.contracts.scans import InvoiceLookRequestedV1
from support.builders import INVOICE, NOON, TENANT
from support.notifier import World, tenant_policy, world

pytestmark = pytest.mark.integration

LINK = "https://in.xero.com/abc"
HOURS = {"start": "00:00", "end": "24:00", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "holidays": False}
LINKED = tenant_policy(online_link=True, contact_hours=HOURS)
WITHOUT = tenant_policy(contact_hours=HOURS)
DUE = {"due_on": NOON.date() - timedelta(days=30)}


def requests(notifier: World) -> list[InvoiceLookRequestedV1]:
    return notifier.events.of(InvoiceLookRequestedV1)


def templates(notifier: World) -> list[str]:
    return [message.template for message, _ in notifier.provider.posts]


async def rule(notifier: World) -> str:
    (answer,) = await why(notifier.engine, TENANT)
    return answer.rule


async def test_a_reminder_off_a_fresh_scan_asks_for_its_link_and_then_shows_it(database_url: str) -> None:
    async with world(database_url, LINKED) as notifier:
        await notifier.take_in(invoice=DUE, correlation_id="scan-1")
        for _ in range(3):
            await notifier.sender.run_once()
        (request,) = requests(notifier)
        assert (request.invoice_ids, request.with_link) == ((INVOICE,), True)
        assert notifier.events.correlation_ids == ["scan-1"]
        assert templates(notifier) == []
        notifier.clock.forward(seconds=2)
        await notifier.look_answered(invoice={**DUE, "online_url": LINK})
        await notifier.sender.run_once()
        ((message, _),) = notifier.provider.posts
        assert message.template == "invoice_overdue_final_with_link"
        assert dict(message.parameters)["link"] == LINK
        assert (await rule(notifier), len(requests(notifier))) == ("due", 1)


async def test_the_last_look_carries_the_question_for_the_link(database_url: str) -> None:
    async with world(database_url, LINKED) as notifier:
        await notifier.take_in(invoice=DUE)
        notifier.clock.forward(minutes=11)
        await notifier.sender.run_once()
        await notifier.sender.run_once()
        (request,) = requests(notifier)
        assert request.with_link
        await notifier.look_answered(invoice={**DUE, "online_url": LINK})
        await notifier.sender.run_once()
        assert templates(notifier) == ["invoice_overdue_final_with_link"]
        assert len(requests(notifier)) == 1


async def test_a_policy_without_links_asks_for_none(database_url: str) -> None:
    async with world(database_url, WITHOUT) as notifier:
        await notifier.take_in(invoice=DUE)
        notifier.clock.forward(minutes=11)
        await notifier.sender.run_once()
        assert [request.with_link for request in requests(notifier)] == [False]
        await notifier.look_answered(invoice=DUE)
        await notifier.sender.run_once()
        assert templates(notifier) == ["invoice_overdue_final"]


@pytest.mark.parametrize("reason", ["not_offered", "day_limit"])
async def test_what_cannot_be_had_lets_the_message_go_at_once_and_says_why(database_url: str, reason: str) -> None:
    async with world(database_url, LINKED) as notifier:
        await notifier.take_in(invoice=DUE)
        await notifier.sender.run_once()
        await notifier.look_answered(invoice={**DUE, "no_link_reason": reason})
        await notifier.sender.run_once()
        assert templates(notifier) == ["invoice_overdue_final"]
        assert await rule(notifier) == f"without_link_{reason}"


async def test_no_answer_at_all_holds_a_message_back_for_five_minutes(database_url: str) -> None:
    async with world(database_url, LINKED) as notifier:
        await notifier.take_in(invoice=DUE)
        await notifier.sender.run_once()
        notifier.clock.forward(seconds=LINK_PATIENCE.total_seconds() - 1)
        await notifier.sender.run_once()
        assert templates(notifier) == []
        notifier.clock.forward(seconds=1)
        await notifier.sender.run_once()
        assert templates(notifier) == ["invoice_overdue_final"]
        assert (await rule(notifier), len(requests(notifier))) == ("without_link_unanswered", 1)


async def test_a_fetcher_that_knows_no_links_holds_nothing_back_for_longer(database_url: str) -> None:
    """As while a new version is rolled out: its answers say nothing about a link."""
    async with world(database_url, LINKED) as notifier:
        await notifier.take_in(invoice=DUE)
        for _ in range(4):
            await notifier.sender.run_once()
            await notifier.look_answered(invoice=DUE)
            notifier.clock.forward(minutes=1)
        assert (templates(notifier), len(requests(notifier))) == ([], 1)
        notifier.clock.forward(minutes=1)
        await notifier.sender.run_once()
        assert templates(notifier) == ["invoice_overdue_final"]


async def test_looks_in_vain_still_end(database_url: str) -> None:
    async with world(database_url, LINKED) as notifier:
        await notifier.take_in(invoice=DUE)
        notifier.clock.forward(minutes=11)
        for _ in range(LOOKS + 1):
            await notifier.sender.run_once()
            (row,) = await notifier.rows()
            notifier.clock.now = row.look_after or notifier.clock.now
        assert await notifier.states() == ["cancelled"]
        assert (await rule(notifier), len(requests(notifier))) == ("not_readable", LOOKS)


async def test_a_first_alert_asks_for_its_link_before_it_leaves(database_url: str) -> None:
    async with world(database_url, LINKED) as notifier:
        issued: dict[str, Any] = {"issued_on": NOON.date(), "due_on": NOON.date() + timedelta(days=14)}
        cause = {"kind": CauseKind.WEBHOOK, "event_type": "CREATE", "event_at": NOON}
        await notifier.take_in(invoice=issued, cause=cause)
        await notifier.sender.run_once()
        assert [request.with_link for request in requests(notifier)] == [True]
        await notifier.look_answered(invoice={**issued, "online_url": LINK})
        await notifier.sender.run_once()
        assert templates(notifier) == ["invoice_issued_with_link"]


async def test_the_next_message_about_the_invoice_needs_no_other_question(database_url: str) -> None:
    async with world(database_url, LINKED) as notifier:
        await notifier.take_in(invoice={"due_on": NOON.date() - timedelta(days=14)})
        await notifier.sender.run_once()
        await notifier.look_answered(invoice={"due_on": NOON.date() - timedelta(days=14), "online_url": LINK})
        await notifier.sender.run_once()
        notifier.clock.forward(days=16)
        await notifier.take_in(invoice={"due_on": NOON.date() - timedelta(days=14)})
        await notifier.sender.run_once()
        assert templates(notifier) == ["invoice_overdue_firm_with_link", "invoice_overdue_final_with_link"]
        assert len(requests(notifier)) == 1


async def test_a_message_that_is_not_to_leave_asks_for_nothing(database_url: str) -> None:
    held = tenant_policy(online_link=True, contact_hours=HOURS, mode="approval")
    async with world(database_url, held) as notifier:
        await notifier.take_in(invoice=DUE)
        await notifier.sender.run_once()
        assert (await notifier.states(), requests(notifier)) == (["held"], [])
