"""A CC or BCC header carries a message past its sender's rights; the receiver looks at the key that was checked."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aiormq
import pytest
from faststream.rabbit import RabbitRouter
from pydantic import SecretStr

from shared.contracts.tokens import TokenAccessRequest, TokenGranted
from shared.runtime.dead_letters import REASON
from shared.runtime.rpc import Replies, answer
from shared.topology import queues
from shared.topology.permissions import PROBE_KEY
from support.broker import consuming, open_broker
from support.builders import make_xero_event
from support.infra import Infra, service_urls

pytestmark = pytest.mark.integration

ASK, REPLY_TO = TokenAccessRequest(tenant_id="tenant-1").model_dump_json().encode(), "amq.rabbitmq.reply-to"


async def send(url: str, body: bytes, exchange: str, key: str, headers: Mapping[str, Any], seconds: float) -> bytes:
    """Publish as this user; what came back within ``seconds``."""
    replies: asyncio.Queue[aiormq.abc.DeliveredMessage] = asyncio.Queue()
    connection = await aiormq.connect(url)
    try:
        channel = await connection.channel(publisher_confirms=True)
        await channel.basic_consume(REPLY_TO, replies.put, no_ack=True)
        properties = aiormq.spec.Basic.Properties(
            headers=dict(headers),
            reply_to=REPLY_TO,
            content_type="application/json",
            correlation_id="1",
            message_id="1",
        )
        await channel.basic_publish(body, exchange=exchange, routing_key=key, properties=properties)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return (await replies.get()).body
        return b""
    finally:
        await connection.close()


class Asked:
    """Answers every question with a token, and counts."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self, _: TokenAccessRequest) -> TokenGranted:
        self.times += 1
        return TokenGranted(access_token=SecretStr("a token"), expires_at=datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("header", ["CC", "BCC"])
@pytest.mark.parametrize(
    ("service", "exchange", "key", "copy_to"),
    [
        ("scheduler", "duebell.rpc", "connections.list", "token.access"),
        ("notifier", "duebell.delay.1s", "notifier.x", "token-broker.token.access"),
        ("ingress", "duebell.delay.1s", "ingress.x", "token-broker.token.access"),
    ],
)
async def test_a_question_that_came_as_a_copy_gets_no_token(
    infra: Infra, amqp_url: str, service: str, exchange: str, key: str, copy_to: str, header: str
) -> None:
    urls, asked = service_urls(infra, amqp_url), Asked()
    async with open_broker(urls["token-broker"]) as broker:
        router = RabbitRouter()
        answer(router, queues.TOKEN_BROKER_TOKEN_ACCESS, TokenAccessRequest, asked, Replies(broker.events))
        async with consuming(broker, router, service="token-broker"):
            assert await send(urls[service], ASK, exchange, key, {header: [copy_to]}, 2) == b""
            assert asked.times == 0
            assert b"a token" in await send(urls["fetcher"], ASK, "duebell.rpc", "token.access", {}, 10)


async def test_an_event_that_came_as_a_copy_is_a_dead_letter(infra: Infra, amqp_url: str) -> None:
    urls, seen = service_urls(infra, amqp_url), []
    router = RabbitRouter()

    @router.subscriber(queues.FETCHER_XERO_EVENT_RECEIVED.subscription(), no_reply=True)
    async def on_event(body: dict[str, Any]) -> None:
        seen.append(body)

    event = make_xero_event()
    async with open_broker(amqp_url) as administrator, open_broker(urls["fetcher"]) as broker:
        async with consuming(broker, router):
            body = event.model_dump_json().encode()
            await send(urls["notifier"], body, "duebell.events", PROBE_KEY, {"CC": [event.key]}, 0)
            letter = await administrator.take(queues.dead_queue("fetcher"))
        assert letter.headers[REASON] == "misrouted"
    assert seen == []
