"""The operator's commands as they are typed, on a running installation."""

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.stack import Stack
from shared.clients.token_broker import open_token_broker_client
from shared.contracts import ConnectionEstablishedV1, ConnectionLostV1
from shared.contracts.tokens import TokenGranted, TokenRefusal, TokenRefused
from shared.topology import exchanges
from support.broker import open_broker
from support.sizes import in_full
from support.town import Town, running_stack, visit
from support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ALONE = {"token-broker": 2, "ingress": 0, "fetcher": 0, "scheduler": 0, "notifier": 0}
RECONNECT = TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)


async def status(town: Town, tenant: str) -> tuple[str, str]:
    """As ``make connections ARGS=--json`` says it."""
    rows = json.loads(await town.command("connections", "--json"))
    (found,) = [row for row in rows if row["tenant_id"] == tenant]
    return found["status"], found["reason"]


async def reconnect(town: Town, tenant: str) -> None:
    to_login = await town.http.get(await town.connect_link())
    back = await town.sandbox.consent(to_login.headers["location"], organisations=[tenant])
    assert (await town.http.get(back)).status_code == 200


async def test_an_organisation_is_disconnected_connected_anew_and_revoked(town: Town) -> None:
    async with open_broker(town.stack.amqp_admin_url) as broker, open_token_broker_client(broker.connection) as asker:
        lost = await broker.collect(exchanges.EVENTS, ConnectionLostV1.key)
        established = await broker.collect(exchanges.EVENTS, ConnectionEstablishedV1.key)

        async def ended(tenant: str, reason: str) -> None:
            async with asyncio.timeout(20):
                # The world was reset before this test: what earlier ones connected is found lost at any time.
                while (event := ConnectionLostV1.model_validate_json((await lost.get()).body)).tenant_id != tenant:
                    pass
            assert event.reason == reason
            assert await asker.access(tenant) == RECONNECT
            assert await status(town, tenant) == ("lost", reason)

        tenant = await town.organisation(name="Acme & Söhne")
        assert await status(town, tenant) == ("connected", "")
        assert "Acme & Söhne" in await town.command("connections")
        assert "Disconnected." in await town.command("disconnect", tenant)
        await ended(tenant, "disconnected_here")

        await reconnect(town, tenant)
        async with asyncio.timeout(20):
            ours = 0
            while ours < 2:
                event = ConnectionEstablishedV1.model_validate_json((await established.get()).body)
                ours += event.tenant_id == tenant
        assert isinstance(await asker.access(tenant), TokenGranted)
        (row,) = await town.invoices(tenant, 1)
        await town.sandbox.queue_events([{"tenant_id": tenant, "resource_id": row["invoice_id"], "type": "CREATE"}])

        async def sent() -> bool:
            return row["invoice_number"] in await town.sent()

        await eventually(sent, seconds=30, what="the message after the reconnection")
        assert "Revoked. Organisations ended: 1." in await town.command("revoke", tenant)
        await ended(tenant, "revoked_here")
        await reconnect(town, tenant)
        assert await status(town, tenant) == ("connected", "")
        assert (await town.sandbox.summary())["token_reuse"] == 0


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """Token-brokers and nothing that asks them."""
    with running_stack(tmp_path / "rotating", scale=ALONE) as running:
        yield running


def with_keys(stack: Stack, keys: str) -> Stack:
    return Stack(stack.folder, {"DUEBELL_TOKEN_KEYS": keys}, ALONE, sandbox=True, tied=True)


@pytest.mark.skipif(not in_full(), reason="takes long: TEST_SIZE=full")
async def test_a_new_key_takes_over_and_the_old_one_can_go(own_stack: Stack) -> None:
    old = json.loads((own_stack.folder / "trial-secrets.json").read_text())["DUEBELL_TOKEN_KEYS"]
    new = "fresh:" + base64.b64encode(os.urandom(32)).decode()
    async with visit(own_stack) as town:
        tenants = [await town.organisation() for _ in range(3)]

        async def keys() -> set[str]:
            return {row["key"] for row in json.loads(await town.command("connections", "--json"))}

        assert await keys() == {old.partition(":")[0]}
        await asyncio.to_thread(with_keys(own_stack, f"{new},{old}").up)
        printed = await town.command("rotate-keys")
        assert printed.endswith("All keys but fresh may be removed from DUEBELL_TOKEN_KEYS.")
        assert await keys() == {"fresh"}
        await asyncio.to_thread(with_keys(own_stack, new).up)
        async with (
            open_broker(own_stack.amqp_admin_url) as broker,
            open_token_broker_client(broker.connection) as asker,
        ):
            assert all([isinstance(await asker.access(tenant), TokenGranted) for tenant in tenants])
