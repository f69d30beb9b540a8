"""The whole token-broker against the doubles of Xero: the journey of a consent, the two questions, and a loss."""

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from sandbox.app import create_app as create_sandbox
from shared.clients.token_broker import TokenBrokerClient, fingerprint, open_token_broker_client
from shared.contracts.connections import ConnectionEstablishedV1, ConnectionLostV1
from shared.contracts.tokens import TokenGranted, TokenRefusal, TokenRefused
from shared.runtime.service import Stop, running
from shared.runtime.web import WebServer
from shared.topology import queues
from support.broker import Broker, open_broker
from support.infra import Infra, service_urls
from support.waiting import eventually
from token_broker.app import create_app
from token_broker.link import main as print_link
from token_broker.settings import TokenBrokerSettings

pytestmark = pytest.mark.integration

ADMIN_SECRET = "an admin secret for tests"


@dataclass
class Scene:
    sandbox: httpx.AsyncClient
    browser: httpx.AsyncClient
    ask: TokenBrokerClient
    broker: Broker

    async def play(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.sandbox.request(method, f"/sandbox{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def tokens(self) -> tuple[int, int]:
        """Refreshes that Xero accepted, and refresh tokens that were used again."""
        summary = await self.play("GET", "/summary")
        return summary["token_refreshes"], summary["token_reuse"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
async def scene(
    infra: Infra, amqp_url: str, redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    """The service with its own rights at RabbitMQ, asked by a client with the fetcher's."""
    users = service_urls(infra, amqp_url)
    for name in [name for name in os.environ if name.startswith("DUEBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DUEBELL_ADMIN_SECRET", ADMIN_SECRET)
    async with AsyncExitStack() as stack:
        doubles = create_sandbox()
        stack.push_async_callback(doubles.state.world.close)
        xero = WebServer(doubles, "127.0.0.1", 0)
        xero_url = f"http://127.0.0.1:{await xero.start()}"
        stack.push_async_callback(xero.drain)
        port = free_port()
        monkeypatch.setenv("DUEBELL_TOKEN_BROKER_PORT", str(port))
        settings = TokenBrokerSettings(
            amqp_url=SecretStr(users["token-broker"]),
            redis_url=SecretStr(redis_url),
            token_broker_database_url=SecretStr(database_url),
            token_keys=SecretStr("k1:" + base64.b64encode(b"k" * 32).decode()),
            xero_client_id="sandbox-client",
            xero_client_secret=SecretStr("sandbox-secret"),
            xero_api_url=xero_url,
            xero_identity_url=xero_url,
            xero_login_url=xero_url,
        )
        await stack.enter_async_context(running("token-broker", settings, create_app, Stop()))
        broker = await stack.enter_async_context(open_broker(amqp_url))
        asker = await stack.enter_async_context(open_broker(users["fetcher"]))
        yield Scene(
            await stack.enter_async_context(httpx.AsyncClient(base_url=xero_url)),
            await stack.enter_async_context(httpx.AsyncClient(follow_redirects=True)),
            await stack.enter_async_context(open_token_broker_client(asker.connection)),
            broker,
        )


async def connect(scene: Scene, capsys: pytest.CaptureFixture[str]) -> httpx.Response:
    assert print_link([]) == 0
    return await scene.browser.get(capsys.readouterr().out.split()[-1])


async def test_a_grant_from_consent_to_loss_and_back(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    await scene.play("PUT", "/settings", {"auto_consent": "allow", "mode": "strict", "token_life": 1800})
    organisation = await scene.play("POST", "/organisations", {"name": "Acme & Söhne"})
    tenant = organisation["tenant_id"]
    assert (await scene.ask.connections()).connections == ()
    assert await scene.ask.access(tenant) == TokenRefused(reason=TokenRefusal.UNKNOWN_TENANT)

    page = await connect(scene, capsys)
    assert page.status_code == 200, page.text
    assert "Acme &amp; Söhne" in page.text
    told = await scene.broker.take(queues.FETCHER_CONNECTION_ESTABLISHED.name)
    event = ConnectionEstablishedV1.model_validate_json(told.body)
    assert (event.tenant_id, event.tenant_name) == (tenant, "Acme & Söhne")
    assert [each.tenant_id for each in (await scene.ask.connections()).connections] == [tenant]

    await _refresh_under_load(scene, tenant)
    await _lose(scene, tenant)
    assert (await connect(scene, capsys)).status_code == 200
    assert isinstance(await scene.ask.access(tenant), TokenGranted)


async def _refresh_under_load(scene: Scene, tenant: str) -> None:
    first = await scene.ask.access(tenant)
    assert isinstance(first, TokenGranted)
    refused = fingerprint(first.access_token)
    answers = await asyncio.gather(*(scene.ask.access(tenant, refused) for _ in range(50)))
    tokens = {answer.access_token.get_secret_value() for answer in answers if isinstance(answer, TokenGranted)}
    assert len(tokens) == 1
    assert first.access_token.get_secret_value() not in tokens
    assert await scene.tokens() == (1, 0)


async def _lose(scene: Scene, tenant: str) -> None:
    await scene.play("POST", "/grants/revoke")
    granted = await scene.ask.access(tenant)
    assert isinstance(granted, TokenGranted)
    answer: TokenGranted | TokenRefused = granted

    async def refused() -> bool:
        nonlocal answer
        answer = await scene.ask.access(tenant, fingerprint(granted.access_token))
        return answer == TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)

    await eventually(refused, seconds=30, what="the loss")
    told = await scene.broker.take(queues.NOTIFIER_CONNECTION_LOST.name)
    event = ConnectionLostV1.model_validate_json(told.body)
    assert (event.tenant_id, event.reason) == (tenant, "invalid_grant")
    assert event.reconnect_url.startswith("http://localhost:")
    assert (await scene.ask.connections()).connections == ()


async def test_denied_and_wrong_visits_connect_nothing(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    await scene.play("PUT", "/settings", {"auto_consent": "deny"})
    page = await connect(scene, capsys)
    assert (page.status_code, "not granted" in page.text) == (403, True)
    await scene.play("PUT", "/settings", {"auto_consent": "allow"})
    page = await connect(scene, capsys)
    assert (page.status_code, "No organisation" in page.text) == (400, True)
    assert (await scene.ask.connections()).connections == ()
