"""Fresh snapshots before sending: asked for with patience, and not for ever."""

from datetime import timedelta

import pytest

from notifier.answers import why
from notifier.looks import LOOKS, patience
from notifier.why import table
from shared.contracts.connections import ConnectionEstablishedV1, ConnectionLostV1
from shared.contracts.scans import InvoiceLookRequestedV1
from support.builders import NOON, TENANT
from support.notifier import ALWAYS, World, world

pytestmark = pytest.mark.integration


async def ask_in_vain(notifier: World, times: int) -> None:
    for asked in range(times):
        await notifier.sender.run_once()
        notifier.clock.forward(seconds=patience(asked).total_seconds())


async def test_an_invoice_that_is_not_shown_any_more_is_given_up(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await notifier.take_in(invoice={"due_on": NOON.date() - timedelta(days=30)})
        notifier.clock.forward(minutes=11)
        await ask_in_vain(notifier, LOOKS)
        assert await notifier.states() == ["planned"]
        await notifier.sender.run_once()
        row = await notifier.intent()
        assert (row.state, row.reason) == ("cancelled", "not_readable")
        assert len(notifier.events.of(InvoiceLookRequestedV1)) == LOOKS
        assert await notifier.told() == ["cancelled"]
        assert "not_readable" in table(await why(notifier.engine, TENANT))
        for _ in range(3):
            notifier.clock.forward(days=1)
            await notifier.sender.run_once()
        assert len(notifier.events.of(InvoiceLookRequestedV1)) == LOOKS


def test_a_day_without_answers_is_no_proof() -> None:
    assert patience(0) == timedelta(minutes=1)
    assert sum((patience(asked) for asked in range(LOOKS)), timedelta()) > timedelta(hours=25)


async def test_only_looks_in_vain_are_counted(database_url: str) -> None:
    """Answered, but not sent in time for another reason: the next look is the first again."""
    async with world(database_url, ALWAYS) as notifier:
        invoice = {"due_on": NOON.date() - timedelta(days=30)}
        await notifier.take_in(invoice=invoice)
        for _ in range(LOOKS + 2):
            notifier.clock.forward(minutes=11)
            await notifier.sender.run_once()
            await notifier.look_answered(invoice=invoice)
        assert len(notifier.events.of(InvoiceLookRequestedV1)) == LOOKS + 2
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"]


async def test_what_could_not_be_read_for_want_of_a_connection_is_asked_for_anew(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await notifier.take_in(invoice={"due_on": NOON.date() - timedelta(days=30)})
        notifier.clock.forward(minutes=11)
        await ask_in_vain(notifier, LOOKS)
        lost = ConnectionLostV1(
            tenant_id=TENANT,
            tenant_name="Meera",
            reason="revoked",
            reconnect_url="https://x",
            lost_at=notifier.clock.now,
        )
        await notifier.connection.lost(lost)
        notifier.clock.forward(days=2)
        await notifier.connection.established(
            ConnectionEstablishedV1(tenant_id=TENANT, tenant_name="Meera", connected_at=notifier.clock.now)
        )
        await notifier.sender.run_once()
        assert await notifier.states() == ["planned"]
        assert len(notifier.events.of(InvoiceLookRequestedV1)) == LOOKS + 1


async def test_a_reminder_that_can_be_read_again_is_planned_again(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        invoice = {"due_on": NOON.date() - timedelta(days=30)}
        await notifier.take_in(invoice=invoice)
        notifier.clock.forward(minutes=11)
        await ask_in_vain(notifier, LOOKS)
        await notifier.sender.run_once()
        assert await notifier.states() == ["cancelled"]
        await notifier.take_in(invoice=invoice)
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"]


async def test_a_look_is_asked_for_under_the_id_of_the_message_that_waits_for_it(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        for number in range(2):
            await notifier.take_in(
                invoice={"invoice_id": f"i{number}"},
                contact={"contact_id": f"c{number}", "phone": f"+9198765432{number:02}"},
                correlation_id=f"webhook-{number}",
            )
            notifier.clock.forward(seconds=1)
        notifier.clock.forward(minutes=11)
        await notifier.sender.run_once()
        (request,) = notifier.events.of(InvoiceLookRequestedV1)
        assert request.invoice_ids == ("i0", "i1")
        assert notifier.events.correlation_ids == ["webhook-0"]
