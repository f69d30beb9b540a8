"""A flood of one tenant beside quiet ones: the door's lanes, the real broker, the whole fetcher; the sandbox judges."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter

import httpx
import pytest
from aio_pika.abc import AbstractIncomingMessage
from pydantic import SecretStr
from redis.asyncio import Redis

from fetcher.adapters.limiter import CallLimiter, Limits
from fetcher.app import create_app
from fetcher.settings import FetcherSettings
from ingress.accept import AcceptWebhook
from ingress.adapters.outbox import RabbitOutbox
from ingress.bursts import Lanes, TenantBursts
from ingress.payloads import Contents
from sandbox.client import Sandbox
from shared.contracts import InvoiceEnrichedV1
from shared.contracts.xero import XeroEventReceivedV1
from shared.errors import PublishFailed
from shared.runtime.clock import utc_now
from shared.runtime.redis import create_redis
from shared.runtime.rpc import Replies
from shared.runtime.service import Stop, running
from shared.topology import exchanges, queues
from shared.topology.lanes import Lane
from support.broker import Broker, consuming, open_broker
from support.builders import make_xero_event
from support.fetcher import Consent, sandbox_process
from support.sizes import in_full
from support.waiting import eventually

pytestmark = pytest.mark.integration

QUIET = 10
FLOOD = 1000
HELD_SECONDS = 20.0
MORE_SECONDS = 2.0
"""By which a flood may delay a quiet tenant."""


@dataclass
class Scene:
    """A running fetcher, a flooding tenant and quiet ones; ``arrived``: invoice → when it was first published."""

    broker: Broker
    sandbox: Sandbox
    redis: Redis
    flooding: str
    quiet: list[str]
    arrived: dict[str, float] = field(default_factory=dict)

    async def note(self, message: AbstractIncomingMessage) -> None:
        event = InvoiceEnrichedV1.model_validate_json(message.body)
        self.arrived.setdefault(event.invoice.invoice_id, perf_counter())

    async def invoices(self, tenant: str, count: int) -> list[str]:
        issued = datetime.now(UTC).date() - timedelta(days=60)
        rows = await self.sandbox.bulk(tenant, count, issue_date=issued, due_date=issued + timedelta(days=30))
        return [row["invoice_id"] for row in rows]

    async def hold(self, tenant: str) -> None:
        """As when Xero has said Retry-After."""
        await CallLimiter(self.redis, Limits(60, 5, 5000)).hold(tenant, HELD_SECONDS)

    async def quiet_waits(self, lane: Lane = Lane.HOT) -> list[float]:
        """Seconds from publishing to ``invoice.enriched`` of a new invoice of each quiet tenant, one after another."""
        waits = []
        for tenant in self.quiet:
            [invoice] = await self.invoices(tenant, 1)
            began = perf_counter()
            await self.broker.events.publish(_event(tenant, invoice), lane=lane)
            await eventually(partial(self.arrived.__contains__, invoice), seconds=30, what="a quiet tenant's invoice")
            waits.append(self.arrived[invoice] - began)
        return waits


def _event(tenant: str, invoice: str) -> XeroEventReceivedV1:
    return make_xero_event(event_id=invoice, tenant_id=tenant, resource_id=invoice)


@pytest.fixture
async def scene(amqp_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with sandbox_process(tmp_path) as sandbox, httpx.AsyncClient(trust_env=False) as http:
        await sandbox.settings(auto_consent="allow")
        flooding, *quiet = [
            (await sandbox.organisation(f"Organisation {number}"))["tenant_id"] for number in range(QUIET + 1)
        ]
        consent = Consent(sandbox.base_url, http)
        await consent.given()
        async with open_broker(amqp_url) as broker, create_redis(redis_url) as redis:
            scene = Scene(broker, sandbox, redis, flooding, quiet)
            async with (
                _noting(scene),
                consuming(broker, consent.router(Replies(broker.events)), service="token-broker"),
            ):
                async with _fetcher(amqp_url, redis_url, sandbox):
                    yield scene


@asynccontextmanager
async def _noting(scene: Scene) -> AsyncIterator[None]:
    async with scene.broker.connection.channel() as channel:
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchanges.EVENTS, InvoiceEnrichedV1.key)
        await queue.consume(scene.note, no_ack=True)
        yield


@asynccontextmanager
async def _fetcher(amqp_url: str, redis_url: str, sandbox: Sandbox) -> AsyncIterator[None]:
    settings = FetcherSettings(
        amqp_url=SecretStr(amqp_url), redis_url=SecretStr(redis_url), fetcher_port=0, xero_api_url=sandbox.base_url
    )
    async with running("fetcher", settings, create_app, Stop()):
        yield


async def _through_the_door(scene: Scene, invoices: Sequence[str]) -> None:
    """As one webhook's events: durable when this returns. What the door could not keep, its sender repeats."""
    lanes = Lanes(TenantBursts(monotonic), lambda _key, _lane: None)
    accept = AcceptWebhook(RabbitOutbox(scene.broker.events, utc_now), lanes.of)
    for start in range(0, len(invoices), 250):
        chunk = invoices[start : start + 250]
        contents = Contents("webhooks/xero", tuple(_event(scene.flooding, invoice) for invoice in chunk))
        await eventually(partial(_taken, accept, contents), seconds=60, what="a delivery that was kept")


async def _taken(accept: AcceptWebhook, contents: Contents) -> bool:
    taken = True
    try:
        await accept(contents)
    except* PublishFailed:
        taken = False
    return taken


async def test_a_flood_is_overtaken_by_a_quiet_tenant_and_costs_few_calls(scene: Scene) -> None:
    await scene.quiet_waits()
    flood = await scene.invoices(scene.flooding, FLOOD)
    await _through_the_door(scene, flood)
    # How long it takes is the benchmark's question. Lanes, shares and the window each let it pass at this size.
    [quiet] = await scene.invoices(scene.quiet[0], 1)
    await scene.broker.events.publish(_event(scene.quiet[0], quiet))
    await eventually(partial(scene.arrived.__contains__, quiet), seconds=60, what="a quiet tenant's invoice")
    assert not scene.arrived.keys() >= set(flood)
    await eventually(lambda: scene.arrived.keys() >= set(flood), seconds=60, what="the flood's end")
    summary = await scene.sandbox.summary()
    # Twenty questions for invoices and as many for their contacts, and those that a trickle into the hot lane adds.
    assert 40 <= summary["calls_by_tenant"][scene.flooding]["admitted"] <= 100
    assert summary["breaches"] == 0


@pytest.mark.skipif(not in_full(), reason="takes long: TEST_SIZE=full")
async def test_a_tenant_that_xero_holds_delays_nobody_in_either_lane(scene: Scene) -> None:
    await scene.quiet_waits()
    held = await scene.invoices(scene.flooding, FLOOD)
    alone = await scene.quiet_waits()
    await scene.hold(scene.flooding)
    until = perf_counter() + HELD_SECONDS
    # More than all the places there are, of which many were let into the hot lane.
    await asyncio.gather(*(scene.broker.events.publish(_event(scene.flooding, invoice)) for invoice in held[:700]))
    await _through_the_door(scene, held[700:])
    beside = [await scene.quiet_waits(lane) for lane in Lane]
    assert perf_counter() < until, "measured while the tenant was held"
    assert max(map(max, beside)) <= max(alone) + MORE_SECONDS, (alone, beside)
    await eventually(lambda: scene.arrived.keys() >= set(held), seconds=60, what="everything of the held tenant")
    assert await scene.broker.depth(queues.dead_queue("fetcher")) == 0
