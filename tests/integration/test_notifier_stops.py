"""A person's switch and what errors stop: nothing leaves, nothing is lost, no try is burnt, one message tries."""

import asyncio
import itertools
from collections import deque
from datetime import datetime, timedelta

import pytest

from notifier import orders
from notifier.answers import release
from notifier.halts import CHECKED_WITHIN, PROBE_PATIENCE
from notifier.ports import Rejected
from notifier.tables import attempts
from notifier.whatsapp_errors import handling
from support.builders import TENANT
from support.notifier import ALWAYS, World, status_update, world

pytestmark = pytest.mark.integration


def rejected(code: int) -> Rejected:
    return Rejected(f"whatsapp_{code}", handling(code), code)


async def plan(notifier: World, *numbers: int, tenant: str = TENANT, **changes: object) -> None:
    for number in numbers:
        contact = {"contact_id": f"c{number}", "phone": f"+91987654{number:04}"}
        invoice = {"invoice_id": f"i{number}", "number": f"INV-{number}", **changes}
        await notifier.take_in(tenant_id=tenant, invoice=invoice, contact=contact)


async def look_again(notifier: World, *numbers: int, tenant: str = TENANT, **changes: object) -> None:
    for number in numbers:
        contact = {"contact_id": f"c{number}", "phone": f"+91987654{number:04}"}
        invoice = {"invoice_id": f"i{number}", "number": f"INV-{number}", **changes}
        await notifier.look_answered(tenant_id=tenant, invoice=invoice, contact=contact)


async def test_a_pause_stops_one_organisation_or_all_and_drops_nothing(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1, 2, tenant="t1")
        await plan(notifier, 3, tenant="t2")
        assert await orders.pause(notifier.engine, "t1", "asha", notifier.clock.now)
        assert not await orders.pause(notifier.engine, "t1", "asha", notifier.clock.now)
        await notifier.sender.run_once()
        assert [message.to for message, _ in notifier.provider.posts] == ["+919876540003"]
        await orders.pause(notifier.engine, None, "ben", notifier.clock.now)
        assert await orders.resume(notifier.engine, "t1", "asha", notifier.clock.now)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
        assert await orders.resume(notifier.engine, None, "ben", notifier.clock.now)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 3
        words = (await orders.standing(notifier.engine)).words
        assert [(word.scope, word.said_by, paused) for word, paused in words] == [
            ("*", "ben", False),
            ("t1", "asha", False),
            ("*", "ben", True),
            ("t1", "asha", True),
        ]


async def test_every_claim_reads_the_switch_in_its_own_transaction(database_url: str) -> None:
    """What was due before the pause and is in a sender's hands already is not claimed after it."""
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, *range(50))
        posts_at_pause: list[int] = []
        paused = asyncio.Event()

        async def somebody_pauses() -> None:
            posted = len(notifier.provider.posts)
            if posted == 10:
                await orders.pause(notifier.engine, None, "ben", notifier.clock.now)
                posts_at_pause.append(len(await notifier.rows(attempts)))
                paused.set()
            elif posted > 10:
                # Nine were answered, and two senders have 32 in flight at most: some are left to be claimed after it.
                await paused.wait()

        notifier.provider.meanwhile = somebody_pauses
        await asyncio.gather(notifier.sender.run_once(), notifier.another_sender().run_once())
        assert len(await notifier.rows(attempts)) == posts_at_pause[0] == len(notifier.provider.posts)
        assert sorted(set(await notifier.states())) == ["accepted", "planned"]
        await orders.resume(notifier.engine, None, "ben", notifier.clock.now)
        await notifier.sender.run_once()
        assert set(await notifier.states()) == {"accepted"}
        assert len({message.to for message, _ in notifier.provider.posts}) == 50 == len(notifier.provider.posts)


async def test_a_claim_that_was_not_posted_in_time_is_not_posted(database_url: str) -> None:
    """Between the claim and its POST nothing may have grown old: not the switch, not the recipient's spacing."""
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1)
        readings = itertools.count()

        def slow() -> datetime:
            return notifier.clock.now + next(readings) * (CHECKED_WITHIN + timedelta(milliseconds=1))

        sender = notifier.another_sender(clock=slow)
        await sender.run_once()
        row = await notifier.intent()
        assert notifier.provider.posts == []
        assert (row.state, row.tries) == ("planned", 0)


async def test_a_paused_template_stops_its_own_messages_alone_and_one_tries(database_url: str) -> None:
    overdue, firm = {"due_on": "2026-06-16"}, {"due_on": "2026-06-09"}
    async with world(database_url, ALWAYS) as notifier:
        notifier.provider.answers.append(rejected(132015))
        await plan(notifier, 1, **overdue)
        await notifier.sender.run_once()
        await plan(notifier, 2, 3, **overdue)
        await plan(notifier, 4, **firm)
        await notifier.sender.run_once()
        assert [message.template for message, _ in notifier.provider.posts] == [
            "invoice_overdue",
            "invoice_overdue_firm",
        ]
        (breaker,) = (await notifier.ledger.halts()).breakers
        assert (breaker.key, breaker.reason) == ("template:invoice_overdue/en", "whatsapp_132015")
        assert breaker.remedy
        notifier.clock.forward(hours=3)
        looks = len(notifier.events.published)
        await notifier.sender.run_once()
        assert len(notifier.events.published) == looks + 1
        await look_again(notifier, 1, 2, 3, **overdue)
        notifier.provider.answers.append(rejected(132015))
        await asyncio.gather(notifier.sender.run_once(), notifier.another_sender().run_once())
        assert len(notifier.provider.posts) == 3
        assert {row.tries for row in await notifier.rows() if row.state == "planned"} == {0}
        notifier.clock.forward(hours=3)
        await look_again(notifier, 1, 2, 3, **overdue)
        await notifier.sender.run_once()
        assert (await notifier.ledger.halts()).breakers == ()
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"] * 4


async def test_a_fault_of_the_number_lets_one_message_try(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, *range(5))
        notifier.provider.answers.extend([rejected(131045)] * 5)
        await notifier.sender.run_once()
        first = len(notifier.provider.posts)
        notifier.clock.forward(minutes=5)
        # It fails again: whichever of the two came first, nothing is left to the other.
        notifier.provider.answers = deque([rejected(131045)] * 5)
        await asyncio.gather(notifier.sender.run_once(), notifier.another_sender().run_once())
        assert len(notifier.provider.posts) == first + 1
        notifier.provider.answers.clear()
        notifier.clock.forward(minutes=5)
        await look_again(notifier, *range(5))
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == first + 2
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"] * 5
        assert {row.tries for row in await notifier.rows()} == {1}


async def test_a_probe_without_an_end_gives_way_to_another(database_url: str) -> None:
    class Killed(BaseException):
        pass

    async def die() -> None:
        raise Killed

    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1)
        notifier.provider.answers.append(rejected(190))
        await notifier.sender.run_once()
        await plan(notifier, 2)
        notifier.clock.forward(minutes=5)
        notifier.provider.meanwhile = die
        with pytest.raises(Killed):
            await notifier.sender.run_once()
        notifier.provider.meanwhile = None
        survivor = notifier.another_sender()
        await survivor.run_once()
        assert len(notifier.provider.posts) == 2
        notifier.clock.forward(seconds=PROBE_PATIENCE.total_seconds())
        await survivor.run_once()
        await survivor.run_once()
        assert len(notifier.provider.posts) == 3
        assert (await notifier.ledger.halts()).breakers == ()


async def test_what_a_status_opened_only_a_status_closes(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1)
        await notifier.sender.run_once()
        unpaid = {"errors": [{"code": 131042}]}
        await notifier.learn(status_update("failed", notifier.provider.posts[0][1], raw=unpaid))
        await plan(notifier, 2, 3)
        notifier.clock.forward(minutes=5)
        await notifier.sender.run_once()
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 2
        await notifier.learn(status_update("sent", notifier.provider.posts[1][1]))
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 4


async def test_a_template_that_is_billed_as_marketing_is_stopped(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1)
        await notifier.sender.run_once()
        pricing = {"pricing": {"billable": True, "category": "marketing"}}
        await notifier.learn(status_update("sent", notifier.provider.posts[0][1], raw=pricing))
        await plan(notifier, 2)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
        (breaker,) = (await notifier.ledger.halts()).breakers
        assert (breaker.key, breaker.reason) == ("template:invoice_overdue/en", "billed_as_marketing")
        assert await orders.probe(notifier.engine, notifier.clock.now) == 1
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 2


async def test_an_organisation_whose_messages_are_all_faulty_is_stopped_after_five(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        notifier.provider.answers.extend([rejected(132000)] * 5)
        for number in range(5):
            await plan(notifier, number, tenant="t1")
            await notifier.sender.run_once()
        await plan(notifier, *range(5, 9), tenant="t1")
        await plan(notifier, 20, tenant="t2")
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 6
        assert notifier.provider.posts[-1][0].to == "+919876540020"
        assert sorted(row.state for row in await notifier.rows() if row.tenant_id == "t1") == [
            *["failed"] * 5,
            *["planned"] * 4,
        ]


async def test_a_released_wave_does_not_hold_what_comes_after_it(database_url: str) -> None:
    policy = ALWAYS.model_copy(
        update={
            "defaults": ALWAYS.defaults.model_copy(
                update={"brake": ALWAYS.defaults.brake.model_copy(update={"usual_floor": 3})}
            )
        }
    )
    async with world(database_url, policy) as notifier:
        await plan(notifier, *range(9))
        await notifier.sender.run_once()
        await plan(notifier, 10)
        await notifier.sender.run_once()
        assert notifier.provider.posts == []
        assert await release(notifier.engine, TENANT, notifier.clock.now) == 10
        await notifier.sender.run_once()
        await plan(notifier, 11)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 11
        # The day after tomorrow so many are usual: three times as many as in the busiest hour may go.
        notifier.clock.forward(days=2)
        await plan(notifier, *range(20, 50), due_on="2026-06-18")
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 41
