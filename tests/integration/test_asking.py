"""Questions to the token-broker over the real broker."""

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection
from faststream.rabbit import RabbitRouter
from pydantic import SecretStr

from shared.clients.token_broker import TokenBrokerClient, open_token_broker_client
from shared.contracts.tokens import TokenAccessRequest, TokenGranted, TokenRefusal, TokenRefused
from shared.errors import RetryableError
from shared.runtime.connection import open_connection
from shared.runtime.delivery import current_delivery
from shared.runtime.rpc import Replies, answer
from shared.topology import queues
from support.broker import Broker, consuming, open_broker
from support.infra import Infra, service_urls
from support.waiting import eventually

pytestmark = pytest.mark.integration

EXPIRES = datetime(2026, 6, 23, 12, 30, tzinfo=UTC)


def answering(
    broker: Broker, release: asyncio.Event | None = None, askers: list[str | None] | None = None
) -> RabbitRouter:
    """Grants a token that names its tenant; a tenant called hung waits for ``release``. ``askers`` learns who asked."""
    router = RabbitRouter()

    async def grant(request: TokenAccessRequest) -> TokenGranted | TokenRefused:
        if askers is not None:
            askers.append(current_delivery().user_id)
        if request.tenant_id == "unknown":
            return TokenRefused(reason=TokenRefusal.UNKNOWN_TENANT)
        if request.tenant_id == "hung" and release:
            await release.wait()
        return TokenGranted(access_token=SecretStr(f"token of {request.tenant_id}"), expires_at=EXPIRES)

    answer(router, queues.TOKEN_BROKER_TOKEN_ACCESS, TokenAccessRequest, grant, Replies(broker.events))
    return router


async def heard(client: TokenBrokerClient) -> bool:
    try:
        return isinstance(await client.access("after", timeout=1), TokenGranted)
    except RetryableError:
        return False


async def a_channel(connection: AbstractRobustConnection) -> AbstractRobustChannel:
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    assert isinstance(channel, AbstractRobustChannel)
    return channel


async def test_each_question_gets_its_own_answer_beside_one_that_hangs(infra: Infra, amqp_url: str) -> None:
    urls = service_urls(infra, amqp_url)
    async with (
        open_broker(amqp_url) as broker,
        open_connection(urls["fetcher"], "test") as connection,
        open_token_broker_client(connection) as client,
    ):
        release = asyncio.Event()
        async with consuming(broker, answering(broker, release), service="token-broker", prefetch=50):
            hung = asyncio.create_task(client.access("hung", timeout=1.5))
            answers = await asyncio.gather(*(client.access(f"tenant-{n}", timeout=1.5) for n in range(20)))
            told = [item.access_token.get_secret_value() for item in answers if isinstance(item, TokenGranted)]
            assert told == [f"token of tenant-{n}" for n in range(20)]
            assert await client.access("unknown") == TokenRefused(reason=TokenRefusal.UNKNOWN_TENANT)
            with pytest.raises(RetryableError, match="token_broker_silent"):
                await hung
            release.set()


async def test_the_client_hears_again_after_its_connection_was_lost(amqp_url: str) -> None:
    async with (
        open_broker(amqp_url) as broker,
        open_connection(amqp_url, "test") as connection,
        open_token_broker_client(connection) as client,
        consuming(broker, answering(broker), service="token-broker"),
    ):
        assert isinstance(await client.access("before"), TokenGranted)
        await connection.reconnect()
        await eventually(lambda: heard(client), seconds=10, what="an answer after the reconnect")


async def test_who_asks_is_known_before_and_after_a_reconnection(infra: Infra, amqp_url: str) -> None:
    url = service_urls(infra, amqp_url)["fetcher"]
    askers: list[str | None] = []
    async with (
        open_broker(amqp_url) as broker,
        open_connection(url, "test") as connection,
        open_token_broker_client(connection) as client,
        consuming(broker, answering(broker, askers=askers), service="token-broker"),
    ):
        assert isinstance(await client.access("before"), TokenGranted)
        await connection.reconnect()
        await eventually(lambda: heard(client), seconds=10, what="an answer after the reconnect")
    assert set(askers) == {urlsplit(url).username}


async def test_nobody_asks_in_anothers_name(infra: Infra, amqp_url: str) -> None:
    urls = service_urls(infra, amqp_url)
    askers: list[str | None] = []
    async with (
        open_broker(amqp_url) as broker,
        open_connection(urls["fetcher"], "test") as connection,
        consuming(broker, answering(broker, askers=askers), service="token-broker"),
    ):
        forger = TokenBrokerClient(await a_channel(connection), urlsplit(urls["scheduler"]).username)
        await forger.start()
        with pytest.raises(RetryableError, match="token_broker_silent"):
            await forger.access("tenant", timeout=1)
    assert askers == []


async def test_a_question_nobody_can_take_fails_by_its_deadline(empty_vhost: str) -> None:
    async with open_connection(empty_vhost, "test") as connection, open_token_broker_client(connection) as client:
        with pytest.raises(RetryableError, match="token_broker_silent"):
            await client.access("tenant", timeout=0.5)
