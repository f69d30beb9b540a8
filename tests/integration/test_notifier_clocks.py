"""A clock that ran ahead and was set right, or another machine's that runs ahead: nothing is misread or waits."""

import asyncio
from datetime import timedelta

import pytest

from notifier.adapters.outbox import LEASE, SqlOutbox
from notifier.model import CLOCKS_DIFFER
from notifier.ports import Pace, Rejected
from notifier.tables import snapshots, tenants
from notifier.template_watch import ASK_EVERY
from notifier.whatsapp_errors import NOT_REACHED
from shared.runtime.service import Stop
from support.notifier import ALWAYS, World, world
from support.waiting import eventually

pytestmark = pytest.mark.integration


async def plan(notifier: World, *numbers: int, **changes: object) -> None:
    for number in numbers:
        contact = {"contact_id": f"c{number}", "phone": f"+91987654{number:04}"}
        invoice = {"invoice_id": f"i{number}", "number": f"INV-{number}", **changes}
        await notifier.take_in(invoice=invoice, contact=contact)


async def test_a_reading_from_the_future_does_not_outlive_the_payment(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        clock = notifier.clock
        read_at = clock.now.replace(hour=clock.now.hour + 1)
        await notifier.take_in(read_at=read_at)
        clock.forward(minutes=20)
        paid = {"status": "PAID", "amount_due": 0, "amount_paid": 12500}
        await notifier.take_in(invoice=paid, cause={"kind": "webhook"}, read_at=clock.now)
        clock.forward(minutes=5)
        await notifier.sender.run_once()
        assert await notifier.states() == ["cancelled"]
        assert notifier.provider.posts == []


async def test_a_payment_that_was_read_by_a_clock_that_is_behind_is_known(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        now = notifier.clock.now
        await notifier.take_in(read_at=now)
        notifier.clock.forward(seconds=30)
        paid = {"status": "PAID", "amount_due": 0, "amount_paid": 12500, "updated_at": now + timedelta(seconds=20)}
        await notifier.take_in(invoice=paid, cause={"kind": "webhook"}, read_at=now - timedelta(hours=1))
        assert await notifier.states() == ["cancelled"]


async def test_what_was_kept_while_our_own_clock_ran_ahead_is_read_anew(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        notifier.clock.forward(hours=5)
        await plan(notifier, 1)
        notifier.clock.forward(hours=-5)
        await notifier.look_answered(
            invoice={"invoice_id": "i1", "number": "INV-1", "status": "VOIDED"},
            contact={"contact_id": "c1", "phone": "+919876540001"},
        )
        (kept,) = await notifier.rows(snapshots)
        assert kept.read_at == notifier.clock.now
        assert await notifier.states() == ["cancelled"]


async def test_a_pace_and_a_recipient_of_the_future_hold_nobody_up(database_url: str) -> None:
    async with world(database_url, ALWAYS, pace=Pace("1", per_second=80)) as notifier:
        await plan(notifier, 1)
        notifier.clock.forward(hours=36)
        await plan(notifier, 1)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
        notifier.clock.forward(hours=-36)
        await notifier.take_in(invoice={"invoice_id": "i2"}, contact={"contact_id": "c2", "phone": "+919876540001"})
        await plan(notifier, 3)
        for _ in range(3):
            await notifier.sender.run_once()
            notifier.clock.forward(seconds=1)
        assert sorted(message.to for message, _ in notifier.provider.posts) == [
            "+919876540001",
            "+919876540001",
            "+919876540003",
        ]


async def test_a_pace_a_little_ahead_is_another_replica_s(database_url: str) -> None:
    async with world(database_url, ALWAYS, pace=Pace("1", per_second=80)) as notifier:
        notifier.clock.now += CLOCKS_DIFFER / 2
        await plan(notifier, 1, 2)
        await notifier.sender.run_once()
        notifier.clock.now -= CLOCKS_DIFFER / 2
        await plan(notifier, 3)
        await notifier.another_sender().run_once()
        assert len(notifier.provider.posts) == 2


async def test_a_brake_of_the_future_is_none_of_the_last_hour(database_url: str) -> None:
    brake = ALWAYS.defaults.brake.model_copy(update={"usual_floor": 3, "per_tenant_per_hour": 3})
    policy = ALWAYS.model_copy(update={"defaults": ALWAYS.defaults.model_copy(update={"brake": brake})})
    async with world(database_url, policy) as notifier:
        notifier.clock.forward(hours=36)
        await plan(notifier, *range(5))
        await notifier.sender.run_once()
        assert set(await notifier.states()) == {"held"}
        notifier.clock.forward(hours=-36)
        await plan(notifier, 7)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
        await plan(notifier, *range(10, 15))
        await notifier.sender.run_once()
        (tenant,) = await notifier.rows(tenants)
        assert tenant.braked_at == notifier.clock.now


def test_listings_are_further_apart_than_clocks() -> None:
    assert ASK_EVERY / 2 > CLOCKS_DIFFER


async def test_a_turn_to_tell_taken_by_a_clock_far_ahead_holds_nobody_up(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1)
        await notifier.sender.run_once()
        outbox, now = SqlOutbox(notifier.engine), notifier.clock.now
        await outbox.take("gone", now + CLOCKS_DIFFER, [], 10)
        assert await outbox.take("other", now, [], 10) == [], "a little ahead is a lease like any other"
        await outbox.take("gone", now + LEASE + 2 * CLOCKS_DIFFER, [], 10)
        assert await notifier.told() == ["accepted"]


async def test_what_was_planned_while_the_clock_ran_ahead_leaves_when_it_is_right_again(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        read_at = notifier.clock.now
        await notifier.sender.run_once()
        notifier.clock.forward(hours=36)
        await notifier.take_in(invoice={"invoice_id": "i1"}, read_at=read_at)
        await notifier.sender.run_once()
        assert notifier.provider.posts == [], "its reading is too old for a clock a day ahead"
        notifier.clock.forward(hours=-36)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
        assert await notifier.states() == ["accepted"]


async def test_a_new_sender_believes_no_moment_that_a_wrong_clock_wrote(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        read_at = notifier.clock.now
        notifier.clock.forward(hours=36)
        await notifier.take_in(invoice={"invoice_id": "i1"}, read_at=read_at)
        notifier.clock.forward(hours=-36)
        await notifier.another_sender().run_once()
        assert len(notifier.provider.posts) == 1


async def test_a_breaker_that_opened_in_the_future_lets_one_try_now(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await notifier.sender.run_once()
        notifier.clock.forward(hours=36)
        await plan(notifier, 1)
        notifier.provider.answers.append(Rejected("not_reached_ConnectError", NOT_REACHED))
        await notifier.sender.run_once()
        assert len((await notifier.ledger.halts()).breakers) == 1
        notifier.clock.forward(hours=-36)
        await plan(notifier, 2)
        await notifier.sender.run_once()
        assert (await notifier.ledger.halts()).breakers == ()


async def test_what_is_put_off_by_a_right_clock_stays_put_off(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1)
        notifier.provider.answers.append(Rejected("not_reached_ConnectError", NOT_REACHED))
        await notifier.sender.run_once()
        await notifier.ledger.turned_back(notifier.clock.now)
        await notifier.another_sender().run_once()
        assert len(notifier.provider.posts) == 1
        assert len((await notifier.ledger.halts()).breakers) == 1


async def test_a_sender_that_waits_for_its_pace_does_not_wait_for_the_wrong_time(database_url: str) -> None:
    async with world(database_url, ALWAYS, pace=Pace("1", per_second=1)) as notifier:
        read_at = notifier.clock.now
        notifier.clock.forward(minutes=9)
        for number in range(3):
            contact = {"contact_id": f"c{number}", "phone": f"+91987654{number:04}"}
            await notifier.take_in(invoice={"invoice_id": f"i{number}"}, contact=contact, read_at=read_at)
        stop = Stop()
        running = asyncio.create_task(notifier.sender.run(stop))
        await eventually(lambda: notifier.provider.posts, what="the first message")
        notifier.clock.forward(minutes=-9)

        def all_left() -> bool:
            notifier.clock.forward(milliseconds=100)
            return len(notifier.provider.posts) == 3

        await eventually(all_left, seconds=30, what="the others")
        stop.set()
        await running
