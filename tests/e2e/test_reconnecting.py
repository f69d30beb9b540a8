"""An organisation that is disconnected waits for its person, alone, and misses nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from aio_pika.abc import AbstractIncomingMessage

from deploy.stack import Stack
from sandbox.client import Json
from shared.contracts import ConnectionEstablishedV1, ConnectionLostV1
from shared.topology import exchanges
from support.broker import Broker, open_broker
from support.sizes import in_full
from support.town import Town
from support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

EVENTS = "fetcher.xero.event.received.v1"
SCANS = "fetcher.scan.requested.v1"
ENRICHED = "notifier.invoice.enriched.v1"
HOLD = "duebell.delay.60s"


@dataclass
class Scene:
    """The town and what the token-broker says in it."""

    town: Town
    broker: Broker
    said_lost: "asyncio.Queue[AbstractIncomingMessage]"
    said_established: "asyncio.Queue[AbstractIncomingMessage]"
    given_up_before: Sequence[Json]
    numbers: dict[str, list[str]] = field(default_factory=dict)
    """Tenant → its invoices so far."""

    async def organisations(self, user: str, count: int) -> list[str]:
        """Connected by that user in one consent."""
        tenants = [str((await self.town.sandbox.organisation())["tenant_id"]) for _ in range(count)]
        await self.consent(await self.town.connect_link(), user, tenants)
        await self.established(*tenants)
        return tenants

    async def consent(self, url: str, user: str, tenants: Sequence[str]) -> None:
        """What a person does with a link."""
        to_login = await self.town.http.get(url)
        back = await self.town.sandbox.consent(to_login.headers["location"], organisations=list(tenants), user=user)
        page = await self.town.http.get(back)
        assert page.status_code == 200, page.text

    async def invoice(self, tenant: str) -> str:
        """The number of a new invoice whose event is on its way."""
        (row,) = await self.town.invoices(tenant, 1)
        event = {"tenant_id": tenant, "resource_id": row["invoice_id"], "type": "CREATE"}
        await self.town.sandbox.queue_events([event])
        self.numbers.setdefault(tenant, []).append(row["invoice_number"])
        return str(row["invoice_number"])

    async def messaged(self, *numbers: str, seconds: float = 20) -> None:
        async def all_sent() -> bool:
            return set(numbers) <= set(await self.town.sent())

        await eventually(all_sent, seconds=seconds, what=f"messages of {len(numbers)} invoices")

    async def lost(self, *tenants: str, seconds: float = 60) -> dict[str, ConnectionLostV1]:
        """What is said of each of these tenants, in whatever order; of others it may be said too."""
        told: dict[str, ConnectionLostV1] = {}
        async with asyncio.timeout(seconds):
            while not told.keys() >= set(tenants):
                event = ConnectionLostV1.model_validate_json((await self.said_lost.get()).body)
                told[event.tenant_id] = event
        return told

    async def established(self, *tenants: str, seconds: float = 20) -> None:
        told: set[str] = set()
        async with asyncio.timeout(seconds):
            while not told >= set(tenants):
                told.add(
                    ConnectionEstablishedV1.model_validate_json((await self.said_established.get()).body).tenant_id
                )

    async def held(self, count: int) -> None:
        """Return when so many events wait for a reconnection."""

        async def waiting() -> bool:
            return await self.broker.depth(HOLD) >= count

        await eventually(waiting, seconds=30, what=f"{count} held events")

    async def handled(self, queue: str, total: int, seconds: float = 80) -> None:
        async def reached() -> bool:
            return await self.town.handled(queue) >= total

        await eventually(reached, seconds=seconds, what=f"{total} handled from {queue}")

    async def everything_once(self) -> None:
        """No event waits, every invoice so far has led to one message, and nothing was given up."""

        async def at_rest() -> bool:
            return not any([await self.broker.depth(name) for name in (HOLD, EVENTS, ENRICHED)])

        await eventually(at_rest, seconds=80, what="rest")
        invoices = [number for numbers in self.numbers.values() for number in numbers]
        await self.messaged(*invoices)
        assert await self.town.sent() == dict.fromkeys(invoices, 1)
        assert await self.town.dead_letters() == self.given_up_before
        summary = await self.town.sandbox.summary()
        assert (summary["breaches"], summary["token_reuse"]) == (0, 0)


@pytest.fixture
async def scene(stack: Stack, town: Town) -> AsyncIterator[Scene]:
    async with open_broker(stack.amqp_admin_url) as broker:
        await town.sandbox.settings(messages_per_second=0, auto_statuses=["sent", "delivered"])
        lost = await broker.collect(exchanges.EVENTS, ConnectionLostV1.key)
        established = await broker.collect(exchanges.EVENTS, ConnectionEstablishedV1.key)
        yield Scene(town, broker, lost, established, await town.dead_letters())


async def test_an_organisation_disconnected_inside_xero_waits_alone_and_is_caught_up_with(scene: Scene) -> None:
    gone, sibling = await scene.organisations("first", 2)
    (other,) = await scene.organisations("second", 1)
    await scene.messaged(*[await scene.invoice(tenant) for tenant in (gone, sibling, other)])
    scans = await scene.town.handled(SCANS)
    await scene.town.command("reconcile", gone)
    await scene.handled(SCANS, scans + 1)

    await scene.town.sandbox.disconnect(gone)
    meanwhile = await scene.invoice(gone)
    event = (await scene.lost(gone))[gone]
    assert (event.reason, event.reconnect_url.startswith("http")) == ("disconnected", True)
    await scene.held(1)
    await scene.messaged(await scene.invoice(sibling), await scene.invoice(other))
    assert meanwhile not in await scene.town.sent()

    held_events, enriched = await scene.town.handled(EVENTS), await scene.town.handled(ENRICHED)
    await scene.consent(event.reconnect_url, "first", [gone])
    await scene.established(gone)
    # Long before the held event's minute is over.
    await scene.messaged(meanwhile, seconds=20)
    if not in_full():
        return
    await scene.handled(EVENTS, held_events + 1)
    # The catch-up's reading and the held event's.
    await scene.handled(ENRICHED, enriched + 2)
    await scene.everything_once()


@pytest.mark.skipif(not in_full(), reason="takes long: TEST_SIZE=full")
async def test_all_that_a_user_revoked_is_announced_and_resumes_when_it_is_granted_again(scene: Scene) -> None:
    mine = await scene.organisations("first", 2)
    (other,) = await scene.organisations("second", 1)
    await scene.messaged(*[await scene.invoice(tenant) for tenant in (*mine, other)])

    await scene.town.sandbox.revoke_grants()
    # What a grant's access token still opens is another matter: here it has run out.
    await scene.town.sandbox.expire_tokens()
    meanwhile = [await scene.invoice(tenant) for tenant in (mine[0], other)]
    events = await scene.lost(*mine, other)
    assert {event.reason for event in events.values()} == {"invalid_grant"}
    await scene.held(2)
    assert not set(meanwhile) & set(await scene.town.sent())

    held_events = await scene.town.handled(EVENTS)
    await scene.consent(events[mine[0]].reconnect_url, "first", mine)
    await scene.consent(events[other].reconnect_url, "second", [other])
    await scene.messaged(*meanwhile, await scene.invoice(mine[1]), seconds=75)
    await scene.handled(EVENTS, held_events + 3)
    await scene.everything_once()
