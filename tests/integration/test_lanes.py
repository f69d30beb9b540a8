"""Two lanes behind one routing key, on the real broker: who gets which event, and what becomes of one that fails."""

from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import aiormq
import pytest
from aio_pika import ExchangeType
from faststream.rabbit import RabbitRouter

from shared.contracts.xero import XeroEventReceivedV1
from shared.errors import PermanentError, RetryableError
from shared.runtime.connection import open_connection
from shared.runtime.dead_letters import REASON, SOURCE, replay
from shared.runtime.publisher import Outgoing
from shared.topology import exchanges, lanes, queues
from shared.topology.declare import declare
from shared.topology.lanes import Lane
from shared.topology.permissions import PROBE_KEY
from support.broker import Broker, consuming, open_broker
from support.builders import make_xero_event
from support.infra import Infra, service_urls
from support.waiting import eventually

pytestmark = pytest.mark.integration

HOT, BULK = queues.FETCHER_XERO_EVENT_RECEIVED, queues.FETCHER_XERO_EVENT_RECEIVED_BULK
BODY = make_xero_event().model_dump_json().encode()


@pytest.fixture
async def broker(amqp_url: str) -> AsyncIterator[Broker]:
    async with open_broker(amqp_url) as opened:
        yield opened


async def depths(broker: Broker) -> tuple[int, int]:
    """Of the hot and the bulk queue."""
    return await broker.depth(HOT.name), await broker.depth(BULK.name)


async def send(broker: Broker, headers: dict[str, str | int], key: str = HOT.key) -> None:
    await broker.events.send(Outgoing(BODY, exchanges.EVENTS, key, headers=headers), deadline=5)


async def test_each_lane_has_its_queue_and_whoever_binds_the_key_sees_every_event(broker: Broker) -> None:
    everything = await broker.collect(exchanges.EVENTS, HOT.key)
    await broker.events.publish(make_xero_event(), lane=Lane.HOT)
    for _ in range(2):
        await broker.events.publish(make_xero_event(), lane=Lane.BULK)
    assert await depths(broker) == (1, 2)
    assert [(await everything.get()).routing_key for _ in range(3)] == [HOT.key] * 3


@pytest.mark.parametrize("headers", [{}, {"lane": "hot"}, {"lane": "express"}, {"lane": 1}, {"other": "bulk"}])
async def test_what_does_not_say_bulk_is_hot(broker: Broker, headers: dict[str, str | int]) -> None:
    await send(broker, headers)
    assert await depths(broker) == (1, 0)


@pytest.mark.parametrize("lane", Lane)
async def test_an_event_that_neither_lane_takes_is_an_error(broker: Broker, lane: Lane) -> None:
    async with broker.connection.channel() as channel:
        await (await channel.get_queue(BULK.name)).unbind(exchanges.LANES, BULK.key, arguments=dict(BULK.headers))
        await send(broker, lane.headers)
        assert await depths(broker) == (1, 0)
        await (await channel.get_queue(HOT.name)).unbind(exchanges.HOT_LANE, HOT.key)
        with pytest.raises(PermanentError, match="unroutable"):
            await broker.events.publish(make_xero_event(), lane=lane)


@pytest.mark.parametrize("exchange", [exchanges.LANES, exchanges.HOT_LANE])
@pytest.mark.parametrize("user", ["ingress", "fetcher", "notifier", None])
async def test_nobody_publishes_past_the_events_exchange(
    infra: Infra, broker: Broker, exchange: str, user: str | None
) -> None:
    url = broker.url if user is None else service_urls(infra, broker.url)[user]
    connection = await aiormq.connect(url)
    try:
        channel = await connection.channel(publisher_confirms=True)
        with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
            await channel.basic_publish(BODY, exchange=exchange, routing_key=HOT.key, timeout=5)
    finally:
        await connection.close()
    assert await depths(broker) == (0, 0)


async def test_an_installation_from_before_the_lanes_keeps_its_work_and_gets_each_event_once(empty_vhost: str) -> None:
    async with open_connection(empty_vhost, "test") as connection, connection.channel() as channel:
        await channel.declare_exchange(exchanges.EVENTS, ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(HOT.name, durable=True, arguments=HOT.arguments)
        await queue.bind(exchanges.EVENTS, HOT.key)
    async with open_broker(empty_vhost) as broker:
        await broker.events.publish(make_xero_event())
        for _ in range(2):
            await declare(empty_vhost)
        await broker.events.publish(make_xero_event(), lane=Lane.HOT)
        await broker.events.publish(make_xero_event(), lane=Lane.BULK)
        assert await depths(broker) == (2, 1)


class Failing:
    """Both lanes' consumers; the first delivery of each fails as told."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure
        self.seen: list[str] = []
        self.router = RabbitRouter()

        @self.router.subscriber(HOT.subscription())
        async def on_event(event: XeroEventReceivedV1) -> None:
            self._note(HOT.name)

        @self.router.subscriber(BULK.subscription())
        async def on_bulk_event(event: XeroEventReceivedV1) -> None:
            self._note(BULK.name)

    def _note(self, queue: str) -> None:
        self.seen.append(queue)
        if self.seen.count(queue) == 1:
            raise self.failure


@pytest.mark.parametrize(("lane", "queue"), [(Lane.HOT, HOT), (Lane.BULK, BULK)])
async def test_what_fails_comes_back_from_the_ladder_into_its_own_lane(
    infra: Infra, broker: Broker, lane: Lane, queue: queues.Queue
) -> None:
    handler = Failing(RetryableError("xero_silent"))
    async with open_broker(service_urls(infra, broker.url)["fetcher"]) as fetcher, consuming(fetcher, handler.router):
        await broker.events.publish(make_xero_event(), lane=lane)
        await eventually(lambda: handler.seen == [queue.name] * 2, what="a second try in the same lane")
    assert await broker.depth(queues.dead_queue("fetcher")) == 0


@pytest.mark.parametrize(("lane", "queue"), [(Lane.HOT, HOT), (Lane.BULK, BULK)])
async def test_a_dead_letter_is_replayed_into_its_own_lane(broker: Broker, lane: Lane, queue: queues.Queue) -> None:
    handler = Failing(PermanentError("invoice_not_found"))
    async with consuming(broker, handler.router):
        await broker.events.publish(make_xero_event(), lane=lane)
        await eventually(lambda: broker.depth(queues.dead_queue("fetcher")))
        assert await replay(broker.connection, broker.events, queues.dead_queue("fetcher")) == 1
        await eventually(lambda: handler.seen == [queue.name] * 2, what="the replayed event")


async def test_a_dead_letter_names_the_lane_it_comes_from(broker: Broker) -> None:
    handler = Failing(PermanentError("invoice_not_found"))
    async with consuming(broker, handler.router):
        await broker.events.publish(make_xero_event(), lane=Lane.BULK)
        letter = await broker.take(queues.dead_queue("fetcher"))
    assert (letter.headers[SOURCE], letter.headers[REASON]) == (BULK.name, "invoice_not_found")


@pytest.mark.parametrize("headers", [{}, Lane.BULK.headers], ids=["hot", "bulk"])
@pytest.mark.parametrize("copied", ["CC", "BCC"])
async def test_an_event_that_came_as_a_copy_is_a_dead_letter_in_either_lane(
    infra: Infra, broker: Broker, headers: dict[str, Any], copied: str
) -> None:
    handler = Failing(PermanentError("reached"))
    connection = await aiormq.connect(service_urls(infra, broker.url)["notifier"])
    try:
        channel = await connection.channel(publisher_confirms=True)
        properties = aiormq.spec.Basic.Properties(
            headers={**headers, copied: [HOT.key]}, content_type="application/json"
        )
        await channel.basic_publish(BODY, exchange=exchanges.EVENTS, routing_key=PROBE_KEY, properties=properties)
    finally:
        await connection.close()
    async with consuming(broker, handler.router):
        letter = await broker.take(queues.dead_queue("fetcher"))
    assert (letter.headers[REASON], handler.seen) == ("misrouted", [])


async def test_a_lanes_exchange_that_stands_differently_stops_with_its_name(empty_vhost: str) -> None:
    async with open_connection(empty_vhost, "test") as connection, connection.channel() as channel:
        await channel.declare_exchange(exchanges.LANES, aio_pika.ExchangeType.HEADERS, durable=True)
    with pytest.raises(Exception, match=exchanges.LANES):
        await declare(empty_vhost)


def test_only_bulk_is_written_into_the_header() -> None:
    assert (Lane.HOT.headers, Lane.BULK.headers) == ({}, {lanes.HEADER: "bulk"})
