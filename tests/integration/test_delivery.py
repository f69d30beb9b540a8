"""What becomes of a message, on the real broker."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import pytest
from aio_pika.abc import AbstractIncomingMessage
from faststream.rabbit import RabbitRouter

from shared.contracts.xero import XeroEventReceivedV1
from shared.errors import PermanentError, RetryableError
from shared.runtime.dead_letters import listing, replay
from shared.runtime.publisher import Outgoing
from shared.runtime.suspects import CONSUMER_LOST, SUSPECT_AFTER
from shared.telemetry.correlation import correlated, correlation_id
from shared.topology import exchanges, queues
from shared.topology.declare import declare
from shared.topology.delays import LADDER, MAX_ATTEMPTS
from support.broker import Broker, consuming, open_broker
from support.builders import make_xero_event
from support.waiting import eventually

pytestmark = pytest.mark.integration

QUEUE = queues.FETCHER_XERO_EVENT_RECEIVED


@pytest.fixture
async def broker(amqp_url: str) -> AsyncIterator[Broker]:
    async with open_broker(amqp_url) as opened:
        yield opened


class Handler:
    """Fails as told, then succeeds; remembers what it saw."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.seen: list[XeroEventReceivedV1] = []
        self.correlations: list[str | None] = []

    def router(self) -> RabbitRouter:
        router = RabbitRouter()

        @router.subscriber(QUEUE.subscription())
        async def on_event(event: XeroEventReceivedV1) -> None:
            self.seen.append(event)
            self.correlations.append(correlation_id())
            if self.failures:
                raise self.failures.pop(0)

        return router


async def test_a_handled_event_is_acknowledged_and_carries_its_correlation_id(broker: Broker) -> None:
    handler = Handler()
    async with consuming(broker, handler.router()):
        with correlated("webhook-1"):
            await broker.events.publish(make_xero_event())
        await eventually(lambda: handler.seen)
    assert handler.seen == [make_xero_event()]
    assert handler.correlations == ["webhook-1"]
    assert await broker.depth(QUEUE.name) == 0


async def test_a_passing_fault_goes_to_the_ladder_and_comes_back(broker: Broker) -> None:
    handler = Handler(RetryableError("xero_silent"))
    async with consuming(broker, handler.router()):
        with correlated("webhook-2"):
            await broker.events.publish(make_xero_event())
        await eventually(lambda: len(handler.seen) == 2, what="the second try")
    assert handler.correlations == ["webhook-2", "webhook-2"]
    assert await broker.depth(queues.dead_queue("fetcher")) == 0


async def test_the_ladder_is_chosen_by_the_remotes_own_delay(broker: Broker) -> None:
    handler = Handler(RetryableError("day_limit", retry_after=200, counts=False))
    async with consuming(broker, handler.router()):
        await broker.events.publish(make_xero_event())
        await eventually(lambda: broker.depth("duebell.delay.300s"), what="a message on the five-minute rung")


async def test_a_permanent_fault_is_buried_with_its_reason(broker: Broker) -> None:
    handler = Handler(PermanentError("unknown_tenant"))
    async with consuming(broker, handler.router()):
        with correlated("webhook-3"):
            await broker.events.publish(make_xero_event())
        letter = await broker.take(queues.dead_queue("fetcher"))
    assert letter.headers["x-reason"] == "unknown_tenant"
    assert letter.headers["x-source-queue"] == QUEUE.name
    assert letter.headers["x-attempt"] == 1
    assert letter.correlation_id == "webhook-3"
    assert json.loads(letter.body)["resource_id"] == make_xero_event().resource_id
    assert await broker.depth(QUEUE.name) == 0


async def came_back(broker: Broker, times: int, headers: Mapping[str, str | int] | None = None) -> None:
    """An event that so many consumers took and did not settle."""
    body = make_xero_event().model_dump_json().encode()
    await broker.events.send(Outgoing(body, "", QUEUE.name, headers=headers or {}, correlation="webhook-4"))
    for _ in range(times):
        async with broker.connection.channel() as channel:
            queue = await channel.get_queue(QUEUE.name, ensure=False)
            await queue.get(timeout=10)


async def taken_from_the_ladder(broker: Broker) -> AbstractIncomingMessage:
    """The message that lies on one of the rungs which last long enough to be looked at."""

    async def filled() -> str | None:
        return next(iter([rung.name for rung in LADDER[2:5] if await broker.depth(rung.name)]), None)

    return await broker.take(await eventually(filled, what="a message on the ladder"))


async def test_what_consumers_were_lost_over_goes_down_the_ladder_before_it_is_tried_again(broker: Broker) -> None:
    await came_back(broker, SUSPECT_AFTER, {"x-attempt": 6})
    handler = Handler()
    async with consuming(broker, handler.router()):
        letter = await taken_from_the_ladder(broker)
    # Suspected: none of its attempts is used up by that.
    assert (letter.headers["x-reason"], letter.headers["x-attempt"]) == (CONSUMER_LOST, 6)
    assert (letter.routing_key, letter.correlation_id) == (QUEUE.name, "webhook-4")
    assert handler.seen == []


async def test_who_is_lost_over_it_off_the_ladder_sends_it_on(broker: Broker) -> None:
    await came_back(broker, 1, {"x-attempt": 6, "x-reason": CONSUMER_LOST})
    handler = Handler()
    async with consuming(broker, handler.router()):
        letter = await taken_from_the_ladder(broker)
    assert (letter.headers["x-attempt"], handler.seen) == (7, [])


async def test_what_comes_off_the_ladder_is_tried_once(broker: Broker) -> None:
    await came_back(broker, 0, {"x-attempt": 3, "x-reason": CONSUMER_LOST})
    handler = Handler(PermanentError("seen"))
    async with consuming(broker, handler.router()):
        letter = await broker.take(queues.dead_queue("fetcher"))
    assert (letter.headers["x-reason"], letter.headers["x-attempt"], len(handler.seen)) == ("seen", 4, 1)


async def test_what_consumers_are_lost_over_at_its_last_attempt_is_buried(broker: Broker) -> None:
    await came_back(broker, SUSPECT_AFTER, {"x-attempt": MAX_ATTEMPTS - 1, "x-reason": CONSUMER_LOST})
    handler = Handler()
    async with consuming(broker, handler.router()):
        letter = await broker.take(queues.dead_queue("fetcher"))
    assert (letter.headers["x-reason"], handler.seen) == (CONSUMER_LOST, [])


async def test_what_fails_for_want_of_the_database_keeps_its_last_attempt(broker: Broker) -> None:
    await came_back(broker, 0, {"x-attempt": MAX_ATTEMPTS - 1})
    handler = Handler(LookupError("as if it were the database"))
    async with consuming(broker, handler.router(), is_away=lambda error: isinstance(error, LookupError)):
        await eventually(lambda: len(handler.seen) == 2, what="the second try")
    assert await broker.depth(queues.dead_queue("fetcher")) == 0


async def test_what_came_back_seldom_is_handled_at_once(broker: Broker) -> None:
    await came_back(broker, SUSPECT_AFTER - 1)
    handler = Handler(PermanentError("seen"))
    async with consuming(broker, handler.router()):
        letter = await broker.take(queues.dead_queue("fetcher"))
    assert letter.headers["x-attempt"] == 1


@pytest.mark.parametrize("body", [b"{not json", b'"text"', b'{"tenant_id": 7}', b"\xff\xfe"])
async def test_an_unreadable_body_is_buried_without_reaching_the_handler(broker: Broker, body: bytes) -> None:
    handler = Handler()
    async with consuming(broker, handler.router()):
        await broker.events.send(Outgoing(body, exchanges.EVENTS, QUEUE.key))
        letter = await broker.take(queues.dead_queue("fetcher"))
    assert (letter.body, letter.headers["x-reason"]) == (body, "unreadable_body")
    assert handler.seen == []


async def test_an_unexpected_fault_is_tried_again_not_lost(broker: Broker) -> None:
    handler = Handler(KeyError("a bug"))
    async with consuming(broker, handler.router()):
        await broker.events.publish(make_xero_event())
        await eventually(lambda: len(handler.seen) == 2, what="the second try")


async def test_the_eighth_failure_is_the_last(broker: Broker) -> None:
    handler = Handler(RetryableError("xero_silent"))
    exhausted = Outgoing(
        make_xero_event().model_dump_json().encode(), exchanges.EVENTS, QUEUE.key, headers={"x-attempt": 7}
    )
    async with consuming(broker, handler.router()):
        await broker.events.send(exhausted)
        letter = await broker.take(queues.dead_queue("fetcher"))
    assert letter.headers["x-reason"] == "xero_silent"
    assert letter.headers["x-attempt"] == 8


async def test_a_stop_finishes_what_is_held_and_touches_nothing_else(broker: Broker) -> None:
    started, release = asyncio.Event(), asyncio.Event()
    handled: list[str] = []
    router = RabbitRouter()

    @router.subscriber(QUEUE.subscription())
    async def on_event(event: XeroEventReceivedV1) -> None:
        started.set()
        await release.wait()
        handled.append(event.event_id)

    for number in range(6):
        await broker.events.publish(make_xero_event(event_id=f"event-{number}"))
    async with consuming(broker, router, prefetch=2) as consumer:
        await started.wait()
        stopping = asyncio.create_task(consumer.drain())
        await eventually(lambda: not consumer.ready(), what="the end of the intake")
        release.set()
        await stopping
    assert len(handled) == 2
    left: list[AbstractIncomingMessage] = [await broker.take(QUEUE.name) for _ in range(4)]
    assert sorted([*handled, *(json.loads(message.body)["event_id"] for message in left)]) == [
        f"event-{number}" for number in range(6)
    ]
    assert [message.headers.get("x-delivery-count", 0) for message in left] == [0] * 4


async def test_a_consumer_that_rabbitmq_cancels_is_not_ready_until_it_is_back(broker: Broker) -> None:
    handler = Handler()
    async with consuming(broker, handler.router()) as consumer:
        assert consumer.ready()
        async with broker.connection.channel() as channel:
            await channel.queue_delete(QUEUE.name)
        await eventually(lambda: not consumer.ready(), what="the end of the consumer")
        await declare(broker.url)
        await eventually(consumer.ready, what="the consumer's return")
        await broker.events.publish(make_xero_event())
        await eventually(lambda: handler.seen)


async def test_dead_letters_are_listed_and_replayed(broker: Broker) -> None:
    handler = Handler(PermanentError("unknown_tenant"))
    async with consuming(broker, handler.router()):
        await broker.events.publish(make_xero_event())
        await eventually(lambda: broker.depth(queues.dead_queue("fetcher")))
        letters = await listing(broker.connection)
        assert [(letter["queue"], letter["reason"]) for letter in letters] == [("fetcher.dead", "unknown_tenant")]
        assert datetime.fromisoformat(str(letters[0]["first_seen"])) <= datetime.now(UTC)
        assert await replay(broker.connection, broker.events, "fetcher.dead") == 1
        await eventually(lambda: len(handler.seen) == 2, what="the replayed event")
    assert await broker.depth("fetcher.dead") == 0


async def test_a_backlog_met_while_the_consumers_start_comes_home_from_the_ladder(broker: Broker) -> None:
    work = (queues.FETCHER_XERO_EVENT_RECEIVED, queues.FETCHER_SCAN_REQUESTED, queues.FETCHER_INVOICE_LOOK_REQUESTED)
    tries: Counter[tuple[str, int]] = Counter()
    router = RabbitRouter()

    def subscribe(name: str, queue: queues.Queue) -> None:
        @router.subscriber(queue.subscription())
        async def on_number(body: dict[str, int]) -> None:
            tries[name, body["number"]] += 1
            if tries[name, body["number"]] == 1:
                raise RetryableError("not_yet")

    for queue in work:
        subscribe(queue.name, queue)
        for number in range(40):
            await broker.events.send(Outgoing(json.dumps({"number": number}).encode(), exchanges.EVENTS, queue.key))
    async with consuming(broker, router, prefetch=200):
        await eventually(lambda: sum(tries.values()) == 240, seconds=20, what="a second try of each message")
    assert set(tries.values()) == {2}


async def test_a_bug_inside_a_handler_is_not_taken_for_an_unreadable_body(broker: Broker) -> None:
    handler = Handler(json.JSONDecodeError("a remote's answer", "", 0))
    async with consuming(broker, handler.router()):
        await broker.events.publish(make_xero_event())
        await eventually(lambda: len(handler.seen) == 2, what="the second try")
    assert await broker.depth(queues.dead_queue("fetcher")) == 0


async def test_dead_letters_outlive_any_number_of_listings(broker: Broker) -> None:
    handler = Handler(PermanentError("unknown_tenant"))
    async with consuming(broker, handler.router()):
        await broker.events.publish(make_xero_event())
        await eventually(lambda: broker.depth(queues.dead_queue("fetcher")))
    for _ in range(25):
        assert len(await listing(broker.connection)) == 1
    await eventually(lambda: broker.depth(queues.dead_queue("fetcher")))
