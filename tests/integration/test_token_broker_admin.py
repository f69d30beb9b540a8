"""The operator's commands against two replicas on one database: what one of them ends, both have ended."""

import asyncio
import base64
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from sandbox.app import create_app as create_sandbox
from sandbox.client import Sandbox
from shared.clients.token_broker import TokenBrokerClient, fingerprint, open_token_broker_client
from shared.contracts.connections import ConnectionLostV1
from shared.contracts.tokens import TokenGranted, TokenRefusal, TokenRefused
from shared.runtime.clock import utc_now
from shared.runtime.service import Stop, running
from shared.runtime.web import WebServer
from shared.topology import queues
from support.broker import Broker, open_broker
from support.infra import Infra, service_urls
from token_broker.admin import command as admin
from token_broker.admin.calls import Call, CallSigner
from token_broker.app import create_app
from token_broker.link import main as print_link
from token_broker.links import LinkSigner
from token_broker.settings import TokenBrokerSettings

pytestmark = pytest.mark.integration

ADMIN_SECRET = SecretStr("an admin secret for tests")
RECONNECT = TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)


@dataclass
class Scene:
    """``world`` is the sandbox's own memory; ``urls`` are the replicas, the first of which the commands ask."""

    sandbox: Sandbox
    world: Any
    browser: httpx.AsyncClient
    asker: TokenBrokerClient
    broker: Broker
    urls: tuple[str, str]
    capsys: pytest.CaptureFixture[str]
    heard: set[tuple[str, datetime]] = field(default_factory=set)

    async def organisations(self, user: str, *names: str) -> list[str]:
        """Connected in one consent."""
        tenants = [str((await self.sandbox.organisation(name))["tenant_id"]) for name in names]
        assert print_link([]) == 0
        to_login = await self.browser.get(self.capsys.readouterr().out.split()[-1])
        back = await self.sandbox.consent(to_login.headers["location"], organisations=tenants, user=user)
        assert (await self.browser.get(back)).status_code == 200
        return tenants

    async def command(self, *arguments: str) -> tuple[int, str]:
        """The exit code and all that was printed, log lines of the replicas among it."""
        code = await asyncio.to_thread(admin.main, arguments)
        printed = self.capsys.readouterr()
        return code, printed.out + printed.err

    async def answers(self, tenant: str) -> list[TokenGranted | TokenRefused]:
        """Enough questions that each replica answers some."""
        return await asyncio.gather(*(self.asker.access(tenant) for _ in range(10)))

    async def lost(self) -> tuple[str, str]:
        """What is said anew: everything is said at least once."""
        while True:
            told = await self.broker.take(queues.NOTIFIER_CONNECTION_LOST.name)
            event = ConnectionLostV1.model_validate_json(told.body)
            happened = (event.tenant_id, event.lost_at)
            if happened not in self.heard:
                self.heard.add(happened)
                return event.tenant_id, event.reason

    def at_xero(self) -> set[str]:
        return {each.tenant_id for each in self.world.identity.connections.values()}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
async def scene(
    infra: Infra,
    amqp_url: str,
    redis_url: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Scene]:
    users = service_urls(infra, amqp_url)
    for name in [name for name in os.environ if name.startswith("DUEBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DUEBELL_ADMIN_SECRET", ADMIN_SECRET.get_secret_value())
    async with AsyncExitStack() as stack:
        doubles = create_sandbox()
        stack.push_async_callback(doubles.state.world.close)
        xero = WebServer(doubles, "127.0.0.1", 0)
        xero_url = f"http://127.0.0.1:{await xero.start()}"
        stack.push_async_callback(xero.drain)
        ports = free_port(), free_port()
        for port in ports:
            settings = TokenBrokerSettings(
                amqp_url=SecretStr(users["token-broker"]),
                redis_url=SecretStr(redis_url),
                admin_secret=ADMIN_SECRET,
                token_broker_port=port,
                token_broker_database_url=SecretStr(database_url),
                token_keys=SecretStr("k1:" + base64.b64encode(b"k" * 32).decode()),
                xero_client_id="sandbox-client",
                xero_client_secret=SecretStr("sandbox-secret"),
                xero_redirect_uri=f"http://localhost:{ports[0]}/callback",
                xero_api_url=xero_url,
                xero_identity_url=xero_url,
                xero_login_url=xero_url,
            )
            await stack.enter_async_context(running("token-broker", settings, create_app, Stop()))
        monkeypatch.setenv("DUEBELL_TOKEN_BROKER_PORT", str(ports[0]))
        asker = await stack.enter_async_context(open_broker(users["fetcher"]))
        yield Scene(
            await stack.enter_async_context(Sandbox(xero_url)),
            doubles.state.world,
            await stack.enter_async_context(httpx.AsyncClient(trust_env=False)),
            await stack.enter_async_context(open_token_broker_client(asker.connection)),
            await stack.enter_async_context(open_broker(amqp_url)),
            (f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"),
            capsys,
        )


async def test_what_is_disconnected_is_gone_everywhere_and_its_sibling_is_not(scene: Scene) -> None:
    acme, brio = await scene.organisations("first", "Acme & Söhne", "Brio")
    code, printed = await scene.command("connections")
    assert code == 0
    assert [word in printed for word in (acme, brio, "Acme & Söhne", "k1")] == [True] * 4
    code, printed = await scene.command("disconnect", acme)
    assert (code, "Disconnected." in printed) == (0, True), printed
    assert scene.at_xero() == {brio}
    assert await scene.lost() == (acme, "disconnected_here")
    assert set(await scene.answers(acme)) == {RECONNECT}
    assert all(isinstance(answer, TokenGranted) for answer in await scene.answers(brio))
    code, printed = await scene.command("disconnect", acme)
    assert (code, "disconnected_here" in printed) == (1, True)
    code, printed = await scene.command("--url", scene.urls[1], "disconnect", brio)
    assert (code, "revoked as well" in printed) == (0, True)
    assert await scene.lost() == (brio, "disconnected_here")
    code, printed = await scene.command("connections", "--json")
    listed = json.loads(printed[printed.index("[\n") :])
    assert [(each["status"], each["key"]) for each in listed] == [("lost", "")] * 2
    assert (await scene.sandbox.summary())["token_reuse"] == 0


async def test_a_revoked_grant_gives_no_token_at_any_replica(scene: Scene) -> None:
    acme, brio = await scene.organisations("first", "Acme", "Brio")
    (crux,) = await scene.organisations("second", "Crux")
    code, printed = await scene.command("revoke", acme)
    assert code == 3
    assert (acme in printed, brio in printed, crux in printed, "--yes" in printed) == (True, True, False, True)
    assert scene.at_xero() == {acme, brio, crux}
    code, printed = await scene.command("revoke", acme, "--yes")
    assert (code, "Organisations ended: 2." in printed) == (0, True), printed
    assert scene.at_xero() == {crux}
    assert {await scene.lost(), await scene.lost()} == {(acme, "revoked_here"), (brio, "revoked_here")}
    assert {*await scene.answers(acme), *await scene.answers(brio)} == {RECONNECT}
    assert all(isinstance(answer, TokenGranted) for answer in await scene.answers(crux))
    assert (await scene.command("revoke", "nobody"))[0] == 1


async def test_a_revocation_in_the_midst_of_refreshes_uses_no_token_twice(scene: Scene) -> None:
    (acme,) = await scene.organisations("first", "Acme")
    first = await scene.asker.access(acme)
    assert isinstance(first, TokenGranted)
    asking = asyncio.gather(*(scene.asker.access(acme, fingerprint(first.access_token)) for _ in range(50)))
    code, printed = await scene.command("revoke", acme)
    assert code == 0, printed
    assert len(await asking) == 50
    assert set(await scene.answers(acme)) == {RECONNECT}
    assert scene.at_xero() == set()
    summary = await scene.sandbox.summary()
    assert (summary["token_reuse"], summary["breaches"]) == (0, 0)


async def test_a_silent_xero_changes_nothing_and_the_command_can_be_repeated(scene: Scene) -> None:
    (acme,) = await scene.organisations("first", "Acme")
    for path, command in (("/connections", "disconnect"), ("/connect/revocation", "revoke")):
        await scene.sandbox.fault(path, "status503")
        code, printed = await scene.command(command, acme)
        assert (code, "Run it again" in printed) == (1, True), printed
        assert all(isinstance(answer, TokenGranted) for answer in await scene.answers(acme))
    assert (await scene.command("revoke", acme))[0] == 0
    assert await scene.lost() == (acme, "revoked_here")


async def test_only_a_signed_call_is_answered_and_only_once(scene: Scene) -> None:
    (acme,) = await scene.organisations("first", "Acme")
    link = dict(httpx.URL(LinkSigner("http://x/connect", ADMIN_SECRET).new(utc_now(), timedelta(seconds=30))).params)
    call = Call("GET", "/admin/connections")
    good = CallSigner(ADMIN_SECRET).authorization(call, utc_now())
    refused = [
        "",
        "Bearer anything",
        f"Duebell-Admin {link['expires']}:{link['nonce']}:{link['signature']}",
        CallSigner(SecretStr("another admin secret")).authorization(call, utc_now()),
        CallSigner(ADMIN_SECRET).authorization(Call("POST", "/admin/disconnect"), utc_now()),
        good[:-1] + ("0" if good[-1] != "0" else "1"),
    ]
    for authorization in refused:
        answer = await scene.browser.get(scene.urls[0] + call.target, headers={"Authorization": authorization})
        assert (answer.status_code, answer.content) == (401, b"")
    answers = [await scene.browser.get(scene.urls[0] + call.target, headers={"Authorization": good}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[0].headers["cache-control"] == "no-store"
    issued = await scene.sandbox.tokens()
    assert not [secret for secrets in issued.values() for secret in secrets if secret in answers[0].text]
    assert acme in answers[0].text
