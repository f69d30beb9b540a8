"""What changed is told at least once: after crashes, while RabbitMQ is away, in order, by any number of replicas."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from notifier import answers
from notifier.adapters.outbox import LEASE, SqlOutbox, Telling
from notifier.learning_tables import tellers, untold
from notifier.outbox_ports import Untold
from notifier.ports import Unknown
from notifier.tell import TellChanges
from shared.contracts.messages import MessageChangedV1
from shared.telemetry.correlation import correlated
from support.builders import TENANT
from support.notifier import ALWAYS, World, inbound, status_update, world

pytestmark = pytest.mark.integration
FORWARD = ["accepted", "sent", "delivered", "read"]


async def send(notifier: World, *invoices: str) -> list[str]:
    """The references of the messages about them."""
    for number, invoice in enumerate(invoices):
        contact = {"contact_id": invoice, "phone": f"+9198765432{number:02d}"}
        await notifier.take_in(invoice={"invoice_id": invoice}, contact=contact, correlation_id=f"scan-{invoice}")
    await notifier.sender.run_once()
    return [reference for _, reference in notifier.provider.posts]


class CrashError(Exception):
    """The process dies here."""


class Dying(SqlOutbox):
    """Tells all, and dies before it can forget what it told."""

    async def take(self, holder: str, now: datetime, told: Sequence[str], limit: int) -> Sequence[Untold]:
        if told:
            raise CrashError
        return await super().take(holder, now, told, limit)


async def test_a_change_is_kept_with_the_change_and_forgotten_once_told(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        (reference,) = await send(notifier, "one")
        with correlated("status-1"):
            await notifier.learn(status_update("delivered", reference))
        waiting = await notifier.rows(untold)
        assert [row.body["state"] for row in waiting] == ["accepted", "delivered"]
        assert (await SqlOutbox(notifier.engine).backlog()).changes == 2
        assert await notifier.told() == ["accepted", "delivered"]
        assert notifier.events.message_ids == [row.event_id for row in waiting]
        assert notifier.events.correlation_ids == ["scan-one", "status-1"]
        assert (await notifier.rows(untold), await notifier.rows(tellers)) == ([], [])


async def test_what_changes_nothing_tells_nothing(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        (reference,) = await send(notifier, "one")
        for status in ("delivered", "sent", "delivered", "failed"):
            await notifier.learn(status_update(status, reference))
        await notifier.learn(inbound("STOP"))
        await notifier.learn(inbound("STOP"))
        assert await notifier.told() == ["accepted", "delivered"]


async def test_while_the_broker_is_away_it_is_kept_and_told_in_order_afterwards(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        notifier.events.away = True
        (reference,) = await send(notifier, "one")
        for status in FORWARD[1:]:
            await notifier.learn(status_update(status, reference))
            assert await notifier.teller.tell_once() is False
        notifier.clock.forward(minutes=5)
        backlog = await SqlOutbox(notifier.engine).backlog()
        assert backlog.oldest_at == notifier.clock.now - timedelta(minutes=5)
        notifier.events.away = False
        assert await notifier.another_teller().tell_once() is True  # the turn was given back
        assert await notifier.told() == FORWARD


async def test_who_dies_after_telling_is_followed_by_one_that_tells_it_again_under_the_same_id(
    database_url: str,
) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await send(notifier, "one", "two")
        dying = notifier.another_teller(Dying(notifier.engine))
        with pytest.raises(CrashError):
            await dying.tell_once()
        first = list(notifier.events.message_ids)
        assert len(set(first)) == 2
        assert await notifier.teller.tell_once() is False  # not its turn yet
        notifier.clock.now += LEASE
        assert await notifier.teller.tell_once() is True
        assert Counter(notifier.events.message_ids) == dict.fromkeys(first, 2)


async def test_a_turn_that_was_lost_forgets_nothing_that_came_later(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        outbox = SqlOutbox(notifier.engine)
        (reference,) = await send(notifier, "one")
        old = [item.event_id for item in await outbox.take("slow", notifier.clock.now, [], 10)]
        notifier.clock.now += LEASE
        assert await notifier.told() == ["accepted"]
        await notifier.learn(status_update("delivered", reference))  # SQLite gives the first one's number again
        await outbox.give_back("slow", old)
        assert await notifier.told() == ["accepted", "delivered"]


async def test_each_intents_changes_come_in_order_and_once_from_three_tellers(database_url: str) -> None:
    rng = Random(5)
    async with world(database_url, ALWAYS) as notifier:
        references = await send(notifier, *(f"invoice-{number}" for number in range(8)))
        learnt = asyncio.Event()

        async def learn(reference: str) -> None:
            for status in FORWARD[1:]:
                await asyncio.sleep(rng.random() / 50)
                await notifier.learn(status_update(status, reference))

        async def tell(teller: TellChanges) -> None:
            while not learnt.is_set():
                await teller.tell_once()
                await asyncio.sleep(rng.random() / 50)

        telling = [asyncio.create_task(tell(notifier.another_teller())) for _ in range(3)]
        await asyncio.gather(*map(learn, references))
        learnt.set()
        await asyncio.gather(*telling)
        await notifier.told()
        told: dict[str, list[str]] = {}
        for change in notifier.events.of(MessageChangedV1):
            told.setdefault(change.intent_id, []).append(change.state.value)
        assert list(told.values()) == [FORWARD] * 8
        assert len(set(notifier.events.message_ids)) == len(notifier.events.message_ids)


async def test_what_a_person_settles_is_told_too(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        notifier.provider.answers.extend([Unknown("no_answer"), Unknown("no_answer")])
        await send(notifier, "one", "two")
        await answers.resend(notifier.engine, TENANT, notifier.clock.now, "one")
        await answers.close(notifier.engine, TENANT, notifier.clock.now, "two")
        assert sorted(await notifier.told()) == ["failed", "planned", "unknown", "unknown"]


async def take_in(notifier: World, _: str) -> object:
    return await notifier.take_in(invoice={"invoice_id": "three"})


async def look_last(notifier: World, _: str) -> object:
    return await notifier.look_answered(invoice={"invoice_id": "one", "status": "VOIDED"})


async def hear(notifier: World, reference: str) -> object:
    return await notifier.learn(status_update("delivered", reference))


async def stop(notifier: World, _: str) -> object:
    return await notifier.learn(inbound("STOP"))


async def abandon(notifier: World, _: str) -> object:
    return await notifier.ledger.abandon(notifier.clock.now + timedelta(1), notifier.clock.now)


@pytest.mark.parametrize("way", [take_in, look_last, hear, stop, abandon])
async def test_what_cannot_be_kept_for_telling_does_not_happen(
    database_url: str, way: Callable[[World, str], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: Any) -> None:
        raise CrashError

    async with world(database_url, ALWAYS) as notifier:
        (reference,) = await send(notifier, "one")
        await notifier.told()
        before = await notifier.states()
        monkeypatch.setattr(Telling, "record", die)
        with pytest.raises(CrashError):
            await way(notifier, reference)
        monkeypatch.undo()
        assert await notifier.states() == before
        assert await notifier.told() == ["accepted"]


async def test_answers_of_one_transaction_are_kept_together_each_with_the_id_of_its_own_cause(
    database_url: str,
) -> None:
    async with world(database_url, ALWAYS) as notifier:
        causes = {f"invoice-{number}": f"cause-{number}" for number in range(6)}
        for number, (invoice_id, cause) in enumerate(causes.items()):
            contact = {"contact_id": invoice_id, "phone": f"+91987654321{number}"}
            await notifier.take_in(invoice={"invoice_id": invoice_id}, contact=contact, correlation_id=cause)
        writes: list[str] = []

        def see(_: Any, __: Any, statement: str, *___: Any) -> None:
            if statement.startswith("INSERT INTO untold"):
                writes.append(statement)

        sa.event.listen(notifier.engine.sync_engine, "before_cursor_execute", see)
        await notifier.sender.run_once()
        kept = await notifier.rows(untold)
        assert {row.body["invoice_id"]: row.correlation_id for row in kept} == causes
        assert len(kept) == len(causes) > len(writes) > 0
