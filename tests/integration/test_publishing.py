"""Confirms, returns, permissions and the topology, on the real broker."""

import aio_pika
import pytest

from shared.contracts import ScanRequestedV1
from shared.errors import ConfigurationError, DuebellError, PermanentError, PublishFailed
from shared.runtime.connection import open_connection
from shared.runtime.publisher import Outgoing, open_publisher
from shared.topology import exchanges, queues
from shared.topology.declare import declare
from shared.topology.delays import LADDER
from support.broker import open_broker
from support.builders import make_enriched, make_scan, make_xero_event
from support.infra import Infra, service_urls

pytestmark = pytest.mark.integration


async def test_a_published_event_is_persistent_and_says_what_it_is(amqp_url: str) -> None:
    async with open_broker(amqp_url) as broker:
        await broker.events.publish(make_scan())
        message = await broker.take(queues.FETCHER_SCAN_REQUESTED.name)
    assert message.delivery_mode is aio_pika.DeliveryMode.PERSISTENT
    assert (message.type, message.app_id, message.content_type) == (ScanRequestedV1.key, "test", "application/json")
    assert message.correlation_id
    assert ScanRequestedV1.model_validate_json(message.body) == make_scan()


async def test_an_event_that_no_queue_takes_is_an_error(amqp_url: str) -> None:
    async with open_broker(amqp_url) as broker:
        with pytest.raises(PermanentError, match="unroutable"):
            await broker.events.send(Outgoing(b"{}", exchanges.EVENTS, "nobody.listens.v1"))


async def test_an_unconfirmed_publish_fails_by_its_deadline(amqp_url: str) -> None:
    async with open_connection(amqp_url, "test") as connection, open_publisher(connection, "test") as events:
        await connection.close()
        with pytest.raises(PublishFailed):
            await events.publish(make_scan(), deadline=0.5)


async def test_declaring_twice_changes_nothing(amqp_url: str) -> None:
    await declare(amqp_url)


async def test_a_queue_that_stands_differently_stops_with_its_name(empty_vhost: str) -> None:
    async with open_connection(empty_vhost, "test") as connection, connection.channel() as channel:
        await channel.declare_queue("fetcher.scan.requested.v1", durable=True)
    with pytest.raises(ConfigurationError, match=r"fetcher\.scan\.requested\.v1"):
        await declare(empty_vhost)


async def test_a_queue_of_questions_that_stands_differently_is_made_anew(amqp_url: str) -> None:
    queue = queues.TOKEN_BROKER_TOKEN_ACCESS
    async with open_connection(amqp_url, "test") as connection, connection.channel() as channel:
        await channel.queue_delete(queue.name)
        await channel.declare_queue(queue.name, durable=True, arguments={"x-queue-type": "classic"})
    await declare(amqp_url)
    async with open_broker(amqp_url) as broker:
        await broker.events.send(Outgoing(b"{}", queue.exchange, queue.key))
        assert (await broker.take(queue.name, seconds=5)).body == b"{}"
    async with open_connection(amqp_url, "test") as connection, connection.channel() as channel:
        await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))


async def test_each_delay_sends_home_to_the_queue_it_names(amqp_url: str) -> None:
    async with open_broker(amqp_url) as broker:
        await broker.events.send(Outgoing(b"{}", LADDER[0].name, queues.FETCHER_SCAN_REQUESTED.name))
        message = await broker.take(queues.FETCHER_SCAN_REQUESTED.name, seconds=5)
    assert message.body == b"{}"


FORBIDDEN = [
    ("ingress", exchanges.EVENTS, "invoice.enriched.v1"),
    ("ingress", exchanges.RPC, "token.access"),
    ("ingress", LADDER[0].name, "notifier.invoice.enriched.v1"),
    ("ingress", "", "notifier.invoice.enriched.v1"),
    ("fetcher", exchanges.EVENTS, "xero.event.received.v1"),
    ("fetcher", exchanges.EVENTS, "connection.established.v1"),
    ("fetcher", LADDER[0].name, "notifier.invoice.enriched.v1"),
    ("fetcher", exchanges.DEAD, "notifier"),
    ("fetcher", "", "notifier.invoice.enriched.v1"),
    ("scheduler", exchanges.EVENTS, "invoice.enriched.v1"),
    ("scheduler", exchanges.RPC, "token.access"),
    ("notifier", exchanges.RPC, "token.access"),
    ("notifier", exchanges.EVENTS, "invoice.enriched.v1"),
    ("token-broker", exchanges.EVENTS, "invoice.enriched.v1"),
]


@pytest.mark.parametrize(("service", "exchange", "key"), FORBIDDEN)
async def test_a_service_cannot_publish_what_is_not_its_own(
    infra: Infra, amqp_url: str, service: str, exchange: str, key: str
) -> None:
    async with (
        open_connection(service_urls(infra, amqp_url)[service], "test") as connection,
        open_publisher(connection, service) as events,
        open_broker(amqp_url) as broker,
    ):
        with pytest.raises(DuebellError):
            await events.send(Outgoing(b"forged", exchange, key), deadline=0.5)
        for queue in queues.QUEUES:
            assert await broker.depth(queue.name) == 0


@pytest.mark.parametrize("service", queues.SERVICES)
async def test_a_service_can_read_only_its_own_queues(infra: Infra, amqp_url: str, service: str) -> None:
    url = service_urls(infra, amqp_url)[service]
    async with open_connection(url, "test") as connection:
        for queue in queues.QUEUES:
            channel = await connection.channel()
            source = await channel.get_queue(queue.name, ensure=False)
            if queue.service == service:
                assert await source.get(fail=False) is None
                await channel.close()
            else:
                with pytest.raises(aio_pika.exceptions.AMQPException):
                    await source.get(fail=False, timeout=2)


async def test_each_service_can_publish_its_own(infra: Infra, amqp_url: str) -> None:
    urls = service_urls(infra, amqp_url)
    for service, event in (("ingress", make_xero_event()), ("fetcher", make_enriched()), ("scheduler", make_scan())):
        async with open_connection(urls[service], "test") as connection, open_publisher(connection, service) as events:
            await events.publish(event, deadline=5)
            assert await events.probe()
