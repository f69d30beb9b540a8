"""Whatever breakers are open together, the one message that may try is found, and costs no more than it must."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from notifier import orders
from notifier.ports import Rejected, Unknown
from notifier.sender import IN_FLIGHT
from notifier.tables import breakers
from notifier.whatsapp_errors import ACCOUNT_PAUSE, NOT_REACHED, handling
from shared.contracts import InvoiceLookRequestedV1
from support.builders import TENANT
from support.notifier import ALWAYS, World, status_update, world

pytestmark = pytest.mark.integration

GONE = Rejected("not_reached_ConnectError", NOT_REACHED)


def rejected(code: int) -> Rejected:
    return Rejected(f"whatsapp_{code}", handling(code), code)


async def plan(notifier: World, *numbers: int, tenant: str = TENANT, look: bool = False, **changes: Any) -> None:
    for number in numbers:
        contact = {"contact_id": f"c{number}", "phone": f"+91987654{number:04}"}
        invoice = {"invoice_id": f"i{number}", "number": f"INV-{number}", **changes}
        take_in = notifier.look_answered if look else notifier.take_in
        await take_in(tenant_id=tenant, invoice=invoice, contact=contact)


async def stop_the_organisation(notifier: World, tenant: str = TENANT, **changes: Any) -> None:
    notifier.provider.answers.extend([rejected(132000)] * 5)
    for number in range(5):
        await plan(notifier, number, tenant=tenant, **changes)
        await notifier.sender.run_once()


async def test_a_probe_of_the_organisation_that_meets_a_broken_network_blocks_neither(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await stop_the_organisation(notifier)
        await plan(notifier, 7, 8)
        notifier.clock.forward(hours=1)
        await plan(notifier, 7, 8, look=True)
        notifier.provider.answers.append(GONE)
        await notifier.sender.run_once()
        assert [item.key for item in (await notifier.ledger.halts()).breakers] == [
            "account:whatsapp",
            f"tenant:{TENANT}",
        ]
        assert await orders.probe(notifier.engine, notifier.clock.now) > 0
        notifier.clock.forward(seconds=10)
        await notifier.sender.run_once()
        await notifier.sender.run_once()
        assert (await notifier.ledger.halts()).breakers == ()
        assert len(notifier.provider.posts) == 8


async def test_a_probe_of_a_template_that_meets_a_throttled_number_blocks_neither(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        notifier.provider.answers.append(rejected(132015))
        await plan(notifier, 1)
        await notifier.sender.run_once()
        await plan(notifier, 2, 3)
        await notifier.sender.run_once()
        notifier.clock.forward(hours=3)
        await plan(notifier, 1, 2, 3, look=True)
        notifier.provider.answers.append(rejected(130429))
        await notifier.sender.run_once()
        for _ in range(3):
            notifier.clock.forward(minutes=3)
            await notifier.sender.run_once()
        assert (await notifier.ledger.halts()).breakers == ()
        assert len(notifier.provider.posts) == 5


async def test_a_probe_of_the_organisation_is_none_that_waits_for_a_template(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 91, tenant="t1")
        await notifier.sender.run_once()
        as_marketing = {"pricing": {"category": "marketing"}}
        await notifier.learn(status_update("sent", notifier.provider.posts[0][1], raw=as_marketing))
        await plan(notifier, 92, tenant="t1")
        await notifier.sender.run_once()
        notifier.clock.forward(seconds=10)
        today: dict[str, Any] = {"due_on": "2026-06-09"}
        await stop_the_organisation(notifier, "t1", **today)
        posts = len(notifier.provider.posts)
        await plan(notifier, 20, 21, tenant="t1", **today)
        notifier.clock.forward(hours=1)
        await plan(notifier, 92, tenant="t1", look=True)
        await plan(notifier, 20, 21, tenant="t1", look=True, **today)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) > posts


async def test_what_is_not_reachable_is_tried_ever_less_often_and_costs_few_looks(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, *range(30))
        notifier.clock.forward(minutes=11)
        looks = 0
        for _ in range(900):
            notifier.provider.answers.extend([GONE] * 30)
            seen = len(notifier.events.published)
            await notifier.sender.run_once()
            asked = [event for event in notifier.events.published[seen:] if isinstance(event, InvoiceLookRequestedV1)]
            looks += sum(len(event.invoice_ids) for event in asked)
            for event in asked:
                await plan(notifier, *(int(invoice[1:]) for invoice in event.invoice_ids), look=True)
            notifier.clock.forward(seconds=2)
        (breaker,) = (await notifier.ledger.halts()).breakers
        assert breaker.probe_at - notifier.clock.now <= ACCOUNT_PAUSE
        assert len(notifier.provider.posts) < IN_FLIGHT + 16
        assert looks <= 30 + len(notifier.provider.posts)


async def test_a_probe_whose_end_nobody_knows_holds_up_the_others_no_longer_than_it_was_stopped(
    database_url: str,
) -> None:
    async with world(database_url, ALWAYS) as notifier:
        notifier.provider.answers.append(GONE)
        await plan(notifier, 1)
        await notifier.sender.run_once()
        unsure = []
        for second in range(1, 31):
            notifier.provider.answers.append(Unknown("no_answer_ReadError"))
            posts = len(notifier.provider.posts)
            notifier.clock.forward(seconds=1)
            await plan(notifier, 1 + second)
            await notifier.sender.run_once()
            notifier.provider.answers.clear()
            unsure += [second] * (len(notifier.provider.posts) - posts)
        # One of them is the turn of the first message, whose person has just been tried.
        assert unsure[0] == 2
        assert all(2 * before <= after <= 2 * before + 1 for before, after in pairwise(unsure))
        notifier.clock.forward(seconds=30)
        await notifier.sender.run_once()
        await notifier.sender.run_once()
        assert (await notifier.ledger.halts()).breakers == ()
        assert len(notifier.provider.posts) == 32


async def test_one_language_s_refusal_stops_no_other_language(database_url: str) -> None:
    in_hindi = ALWAYS.defaults.model_copy(update={"languages": {"c1": "hi", "c3": "hi"}})
    async with world(database_url, ALWAYS.model_copy(update={"defaults": in_hindi})) as notifier:
        notifier.provider.answers.append(rejected(132001))
        await plan(notifier, 1)
        await notifier.sender.run_once()
        await plan(notifier, 2, 3, tenant="other")
        await notifier.sender.run_once()
        assert [message.language for message, _ in notifier.provider.posts] == ["hi", "en"]
        (breaker,) = (await notifier.ledger.halts()).breakers
        assert breaker.key == "template:invoice_overdue/hi"
        assert (await orders.standing(notifier.engine)).behind == {breaker.key: 2}


async def test_a_template_that_was_stopped_in_all_languages_is_so_until_one_message_got_through(
    database_url: str,
) -> None:
    async with world(database_url, ALWAYS) as notifier:
        stopped = {"scope": "template", "name": "invoice_overdue", "reason": "whatsapp_132015", "by_status": False}
        until = notifier.clock.now + timedelta(hours=1)
        async with notifier.engine.begin() as db:
            opened = sa.insert(breakers).values(**stopped, opened_at=notifier.clock.now, probe_at=until)
            await db.execute(opened)
        await plan(notifier, 1, 2)
        await notifier.sender.run_once()
        assert notifier.provider.posts == []
        notifier.clock.now = until
        await plan(notifier, 1, 2, look=True)
        await notifier.sender.run_once()
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 2
        assert (await notifier.ledger.halts()).breakers == ()
