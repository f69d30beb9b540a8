"""Webhooks that come no more, on a broker and Redis with the fetcher and scheduler; only time is the test's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from aio_pika.abc import AbstractIncomingMessage
from faststream.rabbit import RabbitRouter
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis

from fetcher.adapters.webhook_records import RedisWebhookRecords
from fetcher.app import create_app as create_fetcher
from fetcher.settings import FetcherSettings
from fetcher.silence import HOLDS
from fetcher.watch_loop import FLUSHES_A_LOOK
from sandbox import use_cases
from sandbox.app import create_app as create_sandbox
from sandbox.books import Invoice
from sandbox.orders import NewContact, NewInvoice
from sandbox.settings import Settings as SandboxSettings
from sandbox.world import World
from scheduler.adapters.claims import RedisClaims
from scheduler.adapters.pace import RedisPace
from scheduler.adapters.time_zones import RedisTimeZones
from scheduler.handlers import build_router as build_scheduler
from scheduler.loop import TickLoop
from scheduler.tick import Tick
from shared.contracts import WebhookSilentV1, XeroEventReceivedV1
from shared.contracts.tokens import (
    Connection,
    ConnectionsList,
    ConnectionsListRequest,
    TokenAccessRequest,
    TokenGranted,
)
from shared.policy import Policy
from shared.runtime.redis import create_redis
from shared.runtime.rpc import Replies, answer
from shared.runtime.service import Core, Loop, Stop
from shared.runtime.web import WebServer
from shared.topology import exchanges, queues
from support.broker import Broker, consuming, open_broker
from support.moved_time import MovedTime
from support.waiting import eventually
from unit.fetcher.samples import NOW, TENANT
from unit.fetcher.virtual_days import Consented

pytestmark = pytest.mark.integration


class Turns(Stop):
    """Ends a loop where it would pause for the last of so many times."""

    def __init__(self, pauses: int = 1) -> None:
        super().__init__()
        self._pauses = pauses

    async def wait(self, seconds: float | None = None) -> bool:
        self._pauses -= 1
        if self._pauses == 0:
            self.set()
        return self.is_set()


@dataclass
class Stage:
    """One connected organisation; time stands still, and loops turn when the test says so."""

    broker: Broker
    redis: Redis
    clock: MovedTime
    xero: World
    registry: CollectorRegistry
    tick: Loop
    watching: Loop

    def __post_init__(self) -> None:
        self.records, self.pace = RedisWebhookRecords(self.redis, self.clock), RedisPace(self.redis)

    def change(self) -> Invoice:
        """A new invoice, of which no webhook tells."""
        contact = use_cases.open_contact(self.xero, NewContact(tenant_id=TENANT, phone="9876543210"))
        order = NewInvoice(tenant_id=TENANT, contact_id=contact.contact_id, issue_date=self.clock().date())
        return use_cases.issue_invoice(self.xero, order, tell=False)

    async def webhook(self, invoice: Invoice) -> None:
        """One comes, and the fetcher has taken note of it."""
        event = XeroEventReceivedV1(
            event_id=invoice.invoice_id,
            tenant_id=TENANT,
            category="INVOICE",
            event_type="CREATE",
            resource_id=invoice.invoice_id,
            event_at=invoice.updated,
            received_at=self.clock(),
        )
        await self.broker.events.publish(event)

        async def is_heard() -> bool:
            await self.watch()
            return await self.records.heard_at() == event.received_at

        await eventually(is_heard, what="the webhook")

    async def polls(self, minutes: int) -> int:
        """Let so much time pass, by five minutes; how many polls were asked for meanwhile, each of which has ended."""
        polls = 0
        for _ in range(minutes // 5):
            known = await self._asked_for()
            await self.clock.move_to(self.clock() + timedelta(minutes=5))
            await self.tick(Turns())
            if new := await self._asked_for() - known:
                polls += len(new)
                await eventually(self._has_polled, seconds=30, what="the end of a poll")
        return polls

    async def watch(self) -> None:
        """A minute's worth of the fetcher's watch."""
        await self.watching(Turns(FLUSHES_A_LOOK))

    def silent(self) -> float | None:
        return self.registry.get_sample_value("duebell_fetcher_webhooks_silent")

    async def _asked_for(self) -> set[str]:
        return {str(key) for key in await self.redis.keys("duebell:scheduler:moment:*:reconcile:*")}

    async def _has_polled(self) -> bool:
        account = await self.records.account(TENANT)
        return account is not None and account.polled_at == self.clock()


def _token_broker(replies: Replies, consented: Consented, clock: MovedTime, connected_at: datetime) -> RabbitRouter:
    async def access(request: TokenAccessRequest) -> TokenGranted:
        token = await consented.access(request.tenant_id)
        return TokenGranted(access_token=token, expires_at=clock() + timedelta(minutes=30))

    async def connections(_: ConnectionsListRequest) -> ConnectionsList:
        return ConnectionsList(
            connections=(Connection(tenant_id=TENANT, tenant_name="Asha Traders", connected_at=connected_at),)
        )

    router = RabbitRouter()
    answer(router, queues.TOKEN_BROKER_TOKEN_ACCESS, TokenAccessRequest, access, replies)
    answer(router, queues.TOKEN_BROKER_CONNECTIONS_LIST, ConnectionsListRequest, connections, replies)
    return router


@asynccontextmanager
async def _xero(clock: MovedTime) -> AsyncIterator[tuple[World, str]]:
    app = create_sandbox(clock=clock)
    world: World = app.state.world
    world.reset(SandboxSettings(token_life=30 * 86400))
    world.books.add_organisation("Asha Traders", "IN", "INDIASTANDARDTIME", "INR", TENANT)
    server = WebServer(app, "127.0.0.1", 0)
    try:
        yield world, f"http://127.0.0.1:{await server.start()}"
    finally:
        await server.drain()
        await world.close()


@pytest.fixture
async def stage(amqp_url: str, redis_url: str) -> AsyncIterator[Stage]:
    # The fetcher's limiter goes by real time: its counts must not vanish in the midst of a call.
    clock, registry = MovedTime(redis_url, NOW, ages="duebell:scheduler:*"), CollectorRegistry()
    amqp, cache = SecretStr(amqp_url), SecretStr(redis_url)
    async with (
        open_broker(amqp_url) as broker,
        create_redis(redis_url) as redis,
        clock.redis,
        _xero(clock) as (world, url),
    ):
        await clock.move_to(NOW)
        replies = Replies(broker.events)

        def core(registry: CollectorRegistry) -> Core:
            return Core(broker.events, registry, replies, clock, broker.connection)

        tokens = _token_broker(replies, Consented(world, [TENANT]), clock, NOW - timedelta(hours=1))
        fetcher_settings = FetcherSettings(amqp_url=amqp, redis_url=cache, fetcher_port=0, xero_api_url=url)
        zones, pace = RedisTimeZones(redis), RedisPace(redis)
        async with (
            consuming(broker, tokens, service="token-broker"),
            create_fetcher(fetcher_settings, core(registry)) as fetcher,
            consuming(broker, fetcher.routers[0], service="fetcher"),
            consuming(broker, build_scheduler(zones, pace), service="scheduler"),
            core(CollectorRegistry()).token_broker() as token_broker,
        ):
            claims = RedisClaims(clock.redis, settle_seconds=0)
            ticks = TickLoop(Tick(token_broker, zones, pace, claims, broker.events, Policy()))
            yield Stage(broker, redis, clock, world, registry, ticks, fetcher.loops["webhooks"])


async def test_a_silence_is_announced_once_quickens_the_polls_and_ends_with_the_first_webhook(stage: Stage) -> None:
    announced: asyncio.Queue[AbstractIncomingMessage]
    announced = await stage.broker.collect(exchanges.EVENTS, WebhookSilentV1.key)
    # The first poll opens the account; webhooks come.
    assert await stage.polls(5) == 1
    await stage.webhook(stage.change())
    first = None
    for _ in range(6):
        assert await stage.polls(5) == 0
        first = first or stage.change()
        stage.change()
    assert await stage.polls(30) == 1
    await stage.watch()
    assert (stage.silent(), announced.qsize()) == (0, 0)

    assert await stage.polls(20) == 0
    await stage.watch()
    assert stage.silent() == 1
    async with asyncio.timeout(30):
        told = WebhookSilentV1.model_validate_json((await announced.get()).body)
    assert first is not None
    assert (told.since, told.changes, told.tenants) == (first.updated, 7, 1)
    assert (told.announced_at, told.until) == (stage.clock(), stage.clock() + HOLDS)
    await eventually(stage.pace.quickened_until, what="the scheduler's pace")
    assert [await stage.polls(5), await stage.polls(60)] == [1, 4]

    # While it holds nobody is told again; the first webhook ends it, and the pace with its time.
    await stage.watch()
    await stage.webhook(stage.change())
    await stage.watch()
    assert stage.silent() == 0
    await stage.clock.move_to(told.until)
    assert [await stage.polls(5), await stage.polls(120)] == [1, 2]
    await stage.watch()
    assert (stage.silent(), announced.qsize()) == (0, 0)
    assert not stage.xero.journal.breaches
