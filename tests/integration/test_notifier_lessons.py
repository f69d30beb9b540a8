"""What answers and statuses teach: breakers that open and stay closed, what is usual, a probe that takes nothing."""

from typing import Any

import pytest
import sqlalchemy as sa

from notifier import orders, stops
from notifier.adapters import tenant_book
from notifier.adapters.breakers import take_probe
from notifier.ports import Pace, Rejected
from notifier.tables import attempts, decisions, numbers, recipients, sent_hours
from notifier.tables import breakers as breakers_table
from notifier.whatsapp_errors import NOT_REACHED, handling
from support.builders import TENANT
from support.notifier import ALWAYS, World, status_update, world

pytestmark = pytest.mark.integration

GONE = Rejected("not_reached_ConnectError", NOT_REACHED)
MARKETING = {"pricing": {"category": "marketing"}}


def rejected(code: int) -> Rejected:
    return Rejected(f"whatsapp_{code}", handling(code), code)


async def plan(notifier: World, *numbers: int, tenant: str = TENANT, look: bool = False, **changes: Any) -> None:
    for number in numbers:
        contact = {"contact_id": f"c{number}", "phone": f"+91987654{number:04}"}
        invoice = {"invoice_id": f"i{number}", "number": f"INV-{number}", **changes}
        take_in = notifier.look_answered if look else notifier.take_in
        await take_in(tenant_id=tenant, invoice=invoice, contact=contact)


async def open_now(notifier: World) -> list[str]:
    return [item.key for item in (await notifier.ledger.halts()).breakers]


async def test_an_old_message_s_late_status_does_not_stop_the_template_again(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1)
        await notifier.sender.run_once()
        # The first status may say nothing of a price.
        await notifier.learn(status_update("sent", notifier.provider.posts[0][1]))
        await notifier.learn(status_update("delivered", notifier.provider.posts[0][1], raw=MARKETING))
        assert await open_now(notifier) == ["template:invoice_overdue/en"]
        await plan(notifier, 2)
        notifier.clock.forward(days=1)
        await plan(notifier, 2, look=True)
        await notifier.sender.run_once()
        utility = {"pricing": {"category": "utility"}}
        await notifier.learn(status_update("sent", notifier.provider.posts[1][1], raw=utility))
        assert await open_now(notifier) == []
        await notifier.learn(status_update("read", notifier.provider.posts[0][1], raw=MARKETING))
        assert await open_now(notifier) == []


async def test_faults_of_its_own_told_by_statuses_stop_the_organisation(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        for number in range(5):
            await plan(notifier, number)
            await notifier.sender.run_once()
            notifier.clock.forward(seconds=1)
        for count, (_, reference) in enumerate(notifier.provider.posts):
            assert await open_now(notifier) == []
            fault = {"errors": [{"code": 131009}]}
            await notifier.learn(status_update("failed", reference, wamid=f"wamid.{count}", raw=fault))
        assert await open_now(notifier) == [f"tenant:{TENANT}"]


async def test_what_never_left_makes_no_usual(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1, 2)
        notifier.provider.answers.extend([GONE] * 2)
        await notifier.sender.run_once()
        assert await notifier.rows(sent_hours) == []
        for _ in range(3):
            notifier.clock.forward(seconds=10)
            await notifier.sender.run_once()
        (hour,) = await notifier.rows(sent_hours)
        assert (hour.tenant_id, hour.messages) == (TENANT, 2)


@pytest.mark.parametrize("code", [132015, 190])
async def test_a_person_s_probe_wakes_the_only_message_there_is(database_url: str, code: int) -> None:
    async with world(database_url, ALWAYS) as notifier:
        notifier.provider.answers.append(rejected(code))
        await plan(notifier, 1)
        await notifier.sender.run_once()
        notifier.clock.forward(seconds=10)
        assert await orders.probe(notifier.engine, notifier.clock.now) == 1
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 2
        assert await open_now(notifier) == []


async def test_a_status_of_an_attempt_without_a_number_stops_the_number_in_use(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1, 2)
        await notifier.sender.run_once()
        reference = notifier.provider.posts[0][1]
        spam = {"errors": [{"code": 131048}]}
        async with notifier.engine.begin() as db:
            await db.execute(sa.update(attempts).where(attempts.c.reference == reference).values(number=""))
        await notifier.learn(status_update("failed", reference, raw=spam))
        assert await open_now(notifier) == ["number:default"]
        await plan(notifier, 3)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 2


async def test_where_no_number_was_ever_noted_all_that_the_sender_sends_is_stopped(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1)
        await notifier.sender.run_once()
        async with notifier.engine.begin() as db:
            await db.execute(sa.update(attempts).values(number=""))
        spam = {"errors": [{"code": 131048}]}
        await notifier.learn(status_update("failed", notifier.provider.posts[0][1], raw=spam))
        assert await open_now(notifier) == ["account:whatsapp"]


async def test_who_may_not_try_one_breaker_has_taken_nothing_of_the_others(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(database_url, ALWAYS) as notifier:
        now = notifier.clock.now
        async with notifier.engine.begin() as db:
            for scope, name in (("account", "whatsapp"), ("tenant", TENANT)):
                opened = {"scope": scope, "name": name, "reason": "whatsapp_190", "by_status": False}
                await db.execute(sa.insert(breakers_table).values(**opened, opened_at=now, probe_at=now))
        await plan(notifier, 1)

        async def only_the_first(db: object, item: object, *rest: object) -> bool:
            return getattr(item, "name", "") == "whatsapp" and await take_probe(db, item, *rest)  # type: ignore[arg-type]  # passed on

        monkeypatch.setattr(tenant_book, "take_probe", only_the_first)
        await notifier.sender.run_once()
        assert notifier.provider.posts == []
        assert {item.probe for item in (await notifier.ledger.halts()).breakers} == {None}
        assert await notifier.rows(recipients) == []
        assert [row.next_at for row in await notifier.rows(numbers)] in ([], [now])
        monkeypatch.undo()
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1


async def test_after_a_pause_and_its_end_nothing_is_in_the_way(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1)
        await orders.pause(notifier.engine, None, "ben", notifier.clock.now)
        await orders.pause(notifier.engine, TENANT, "asha", notifier.clock.now)
        await orders.resume(notifier.engine, None, "ben", notifier.clock.now)
        assert await orders.still_paused(notifier.engine, None) == [f"{TENANT} (make resume TENANT={TENANT}) is"]
        await orders.resume(notifier.engine, TENANT, "asha", notifier.clock.now)
        assert await orders.still_paused(notifier.engine, None) == []
        lines = stops.report(await orders.standing(notifier.engine)).splitlines()
        assert lines[:3] == ["Nothing is in the way.", "", "The latest words of persons:"]
        assert len(lines) == 7


async def test_who_waits_for_another_day_s_recipients_is_told_so(database_url: str) -> None:
    async with world(database_url, ALWAYS, pace=Pace("1", per_second=1000, daily_recipients=1)) as notifier:
        await plan(notifier, 1, 2, 3)
        await notifier.sender.run_once()
        notifier.clock.forward(seconds=10)
        await notifier.sender.run_once()
        waiting = [row for row in await notifier.rows(decisions) if row.rule == "daily_recipients"]
        assert [row.verdict for row in waiting] == ["postpone"] * 2
        kept = await orders.kept(notifier.engine)
        assert [(item.tenant_id, item.reason, item.messages) for item in kept] == [(TENANT, "daily_recipients", 2)]
        assert "2 planned (daily_recipients)" in stops.report(await orders.standing(notifier.engine), kept)
        assert await notifier.ledger.note_tier(notifier.clock.now) == 0
        notifier.clock.forward(days=1)
        await plan(notifier, 2, 3, look=True)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 2


async def test_what_waits_for_a_lost_connection_is_listed(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await plan(notifier, 1)
        async with notifier.ledger.open(TENANT, notifier.clock.now) as book:
            await book.lose(notifier.clock.now)
        kept = await orders.kept(notifier.engine)
        assert [(item.tenant_id, item.reason, item.messages) for item in kept] == [(TENANT, "connection_lost", 1)]
