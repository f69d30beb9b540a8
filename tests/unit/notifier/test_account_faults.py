"""Faults of the account that a webhook reports after the message was accepted: it waits, nothing is burnt."""

import itertools
from datetime import timedelta
from pathlib import Path

import pytest

from notifier.adapters.brake import sent_since
from notifier.ports import Unknown
from notifier.tables import attempts
from shared.contracts.whatsapp import WhatsAppUpdateReceivedV1
from support.builders import NOON, TENANT
from support.notifier import World, status_update, world

UNPAID = {"errors": [{"code": 131042}]}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


async def send_one(notifier: World) -> str:
    await notifier.take_in()
    await notifier.sender.run_once()
    return notifier.provider.posts[-1][1]


async def test_the_sender_stops_and_says_so_once(url: str) -> None:
    async with world(url) as notifier:
        news = status_update("failed", await send_one(notifier), raw=UNPAID)
        await notifier.learn(news)
        await notifier.learn(news)
        assert notifier.stops == ["whatsapp_131042"]
        notifier.clock.forward(seconds=10)
        await notifier.take_in(invoice={"invoice_id": "another"})
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1


@pytest.mark.parametrize("code", [190, 131031, 131042])
async def test_the_message_waits_for_the_pause_to_end_and_is_sent_then(url: str, code: int) -> None:
    async with world(url) as notifier:
        reference = await send_one(notifier)
        news = status_update("failed", reference, raw={"errors": [{"code": code}]})
        (change,) = await notifier.learn(news)
        assert (change.state.value, change.reason) == ("planned", f"whatsapp_{code}")
        row = await notifier.intent()
        assert (row.state, row.tries, row.due_at) == ("planned", 0, NOON + timedelta(minutes=5))
        assert await notifier.learn(news) == []
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
        notifier.clock.forward(minutes=5)
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"]
        assert await notifier.learn(news) == []
        assert await notifier.states() == ["accepted"]
        assert len(notifier.provider.posts) == 2


async def test_a_fault_of_the_message_itself_still_ends_it(url: str) -> None:
    async with world(url) as notifier:
        reference = await send_one(notifier)
        await notifier.learn(status_update("failed", reference, raw={"errors": [{"code": 131026}]}))
        assert await notifier.states() == ["failed"]
        assert notifier.stops == []


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "failed", "failed"])))
async def test_a_late_word_that_it_was_sent_does_not_lose_it(url: str, order: tuple[str, ...]) -> None:
    async with world(url) as notifier:
        reference = await send_one(notifier)
        for status in order:
            await notifier.learn(status_update(status, reference, raw=UNPAID if status == "failed" else {}))
        assert await notifier.states() == ["planned"]


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "failed", "delivered"])))
async def test_what_did_arrive_is_not_sent_again(url: str, order: tuple[str, ...]) -> None:
    async with world(url) as notifier:
        reference = await send_one(notifier)
        for status in order:
            await notifier.learn(status_update(status, reference, raw=UNPAID if status == "failed" else {}))
        assert await notifier.states() == ["delivered"]


@pytest.mark.parametrize("with_reference", [True, False])
async def test_a_fault_that_overtakes_the_answer(url: str, with_reference: bool) -> None:
    async with world(url) as notifier:

        async def failed_already() -> None:
            reference = notifier.provider.posts[-1][1]
            known_by = reference if with_reference else None
            await notifier.learn(status_update("failed", known_by, f"wamid.{reference}", raw=UNPAID))

        notifier.provider.meanwhile = failed_already
        await send_one(notifier)
        notifier.provider.meanwhile = None
        row = await notifier.intent()
        assert (row.state, row.reason, row.tries) == ("planned", "whatsapp_131042", 0)
        (breaker,) = (await notifier.ledger.halts()).breakers
        assert (breaker.key, breaker.probe_at) == ("account:whatsapp", NOON + timedelta(minutes=5))
        notifier.clock.forward(minutes=5)
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"]


async def test_the_fault_of_an_earlier_attempt_leaves_a_later_one_alone(url: str) -> None:
    async with world(url) as notifier:
        first = await send_one(notifier)
        await notifier.learn(status_update("failed", first, raw=UNPAID))
        notifier.clock.forward(minutes=5)
        notifier.provider.answers.append(Unknown("no_answer_ReadTimeout"))
        await notifier.sender.run_once()
        news: list[WhatsAppUpdateReceivedV1] = [
            status_update("failed", first, raw=UNPAID),
            status_update("sent", first),
        ]
        for item in news:
            await notifier.learn(item)
        assert await notifier.states() == ["unknown"]


async def test_what_an_account_fault_stopped_does_not_pull_the_brake(url: str) -> None:
    async with world(url) as notifier:
        reference = await send_one(notifier)
        async with notifier.engine.connect() as db:
            assert await sent_since(db, TENANT, NOON - timedelta(hours=1)) == (1, 1)
        await notifier.learn(status_update("failed", reference, raw=UNPAID))
        async with notifier.engine.connect() as db:
            assert await sent_since(db, TENANT, NOON - timedelta(hours=1)) == (0, 0)
        (row,) = await notifier.rows(attempts)
        assert (row.error_code, row.error_class) == (131042, "account")


async def test_a_delivery_that_came_before_everything_still_counts(url: str) -> None:
    async with world(url) as notifier:

        async def failed_and_delivered() -> None:
            reference = notifier.provider.posts[-1][1]
            await notifier.learn(status_update("delivered", None, f"wamid.{reference}"))
            await notifier.learn(status_update("failed", reference, "wamid.other", raw=UNPAID))

        notifier.provider.meanwhile = failed_and_delivered
        await send_one(notifier)
        assert await notifier.states() == ["delivered"]
