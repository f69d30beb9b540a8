"""Many schedulers on one Redis ask once for every moment, also when it is wiped, and whatever their clocks say."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from faststream.rabbit import RabbitRouter
from pydantic import SecretStr
from redis.asyncio import Redis

from scheduler.adapters.claims import RedisClaims
from scheduler.adapters.pace import RedisPace
from scheduler.adapters.time_zones import RedisTimeZones
from scheduler.app import create_app
from scheduler.due import Moment
from scheduler.ports import Taken
from scheduler.schedule import answer
from scheduler.settings import SchedulerSettings
from scheduler.tick import Tick
from shared.contracts import Event, ScanRequestedV1
from shared.contracts.scans import ScanKind
from shared.contracts.tokens import Connection, ConnectionsList, ConnectionsListRequest
from shared.policy import Policy, TenantPolicy
from shared.runtime.redis import create_redis
from shared.runtime.rpc import Replies
from shared.runtime.rpc import answer as reply_to
from shared.runtime.service import Core, CreateApp, Service, Stop, running
from shared.topology import exchanges, queues
from support.broker import Broker, consuming, open_broker
from support.sizes import rounds
from support.waiting import eventually

pytestmark = pytest.mark.integration

HOUR = timedelta(hours=1)
LONG_AGO = timedelta(days=9, minutes=30)
"""Half an hour from every poll, so that none falls due while a test runs."""
TENANTS = [f"t{number}" for number in range(40)]


@dataclass
class Town:
    """The connected organisations, and the requests that were made."""

    connected_at: datetime
    tenants: list[str] = field(default_factory=lambda: list(TENANTS))
    asked: list[str] = field(default_factory=list)

    async def connections(self) -> ConnectionsList:
        return ConnectionsList(
            connections=tuple(
                Connection(tenant_id=tenant, tenant_name=tenant, connected_at=self.connected_at)
                for tenant in self.tenants
            )
        )

    async def publish(self, event: Event, *, deadline: float | None = None) -> None:
        assert isinstance(event, ScanRequestedV1)
        self.asked.append(event.moment or "by hand")
        await asyncio.sleep(0)

    def replica(self, redis: Redis, settle_seconds: float = 0) -> Tick:
        claims, policy = RedisClaims(redis, settle_seconds), Policy(defaults=TenantPolicy(scan_spread_minutes=0))
        return Tick(self, RedisTimeZones(redis), RedisPace(redis), claims, self, policy)


async def test_of_many_replicas_one_asks(redis_url: str) -> None:
    async with create_redis(redis_url) as redis:
        now = await RedisClaims(redis).now()
        town = Town(now - LONG_AGO)
        replicas = [town.replica(redis) for _ in range(8)]
        for _ in range(rounds(50, 5)):
            await asyncio.gather(*(replica() for replica in replicas))
        kinds = Counter(moment.split(":", 2)[1] for moment in town.asked)
        assert max(Counter(town.asked).values()) == 1
        assert kinds["reconcile"] == len(TENANTS)


async def test_a_wiped_redis_is_filled_again_by_who_remembers(redis_url: str) -> None:
    async with create_redis(redis_url) as redis:
        now = await RedisClaims(redis).now()
        town = Town(now - LONG_AGO)
        old = town.replica(redis)
        zones = RedisTimeZones(redis)
        await zones.remember("t1", "Asia/Kolkata")
        await old()
        before = set(town.asked)
        await redis.flushdb()
        # Nothing is claimed before those who remember had their time.
        newcomer, patient = town.replica(redis), RedisClaims(redis, settle_seconds=60)
        sight = await patient.look()
        assert not sight.settled
        assert await newcomer() == 0
        await old()
        await redis.delete("duebell:scheduler:settling")  # the minute has passed
        await asyncio.gather(*(replica() for replica in (newcomer, old, town.replica(redis))))
        again = [moment for moment in town.asked if moment in before]
        assert len(again) == len(before)
        assert (await RedisTimeZones(redis).all())["t1"].key == "Asia/Kolkata"


async def test_a_claim_of_before_a_wipe_takes_and_gives_back_nothing(redis_url: str) -> None:
    async with create_redis(redis_url) as redis:
        mine, other = RedisClaims(redis, 0), RedisClaims(redis, 0)
        sight = await mine.look()
        moment = Moment("t", ScanKind.RECONCILE, "slot", sight.now, HOUR)
        assert await mine.take(moment, sight.epoch) is Taken.YES
        assert await other.take(moment, sight.epoch) is Taken.HELD
        await other.give_back(moment)
        assert await other.take(moment, sight.epoch) is Taken.HELD
        await redis.flushdb()
        assert await mine.take(moment, sight.epoch) is Taken.UNSETTLED
        fresh = await other.look()
        assert await other.take(moment, fresh.epoch) is Taken.YES
        await mine.give_back(moment)
        await other.done([moment])
        assert await mine.take(moment, fresh.epoch) is Taken.DONE
        assert await mine.are_done([moment]) == {moment}


@asynccontextmanager
async def answered(broker: Broker, town: Town) -> AsyncIterator[None]:
    """Somebody answers for the token-broker."""
    router = RabbitRouter()

    async def connections(_: ConnectionsListRequest) -> ConnectionsList:
        return await town.connections()

    reply_to(router, queues.TOKEN_BROKER_CONNECTIONS_LIST, ConnectionsListRequest, connections, Replies(broker.events))
    async with consuming(broker, router, service="token-broker"):
        yield


async def test_services_whose_clocks_are_hours_apart_ask_once_and_the_command_says_what_is_next(
    amqp_url: str, redis_url: str, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\n")
    settings = SchedulerSettings(
        amqp_url=SecretStr(amqp_url), redis_url=SecretStr(redis_url), scheduler_port=0, policy_file=str(policy)
    )

    def off_by(hours: int) -> CreateApp[SchedulerSettings]:
        @asynccontextmanager
        async def create(settings: SchedulerSettings, core: Core) -> AsyncIterator[Service]:
            wrong = replace(core, clock=lambda: datetime.now(UTC) + hours * HOUR)
            async with create_app(settings, wrong) as service:
                yield service

        return create

    async with open_broker(amqp_url) as broker, create_redis(redis_url) as redis, AsyncExitStack() as stack:
        now = await RedisClaims(redis, 0).now()
        # Long settled, as after the first minute of an installation.
        await redis.set("duebell:scheduler:epoch", "settled")
        town = Town(now - LONG_AGO, TENANTS[:5])
        await stack.enter_async_context(answered(broker, town))
        found = await broker.collect(exchanges.EVENTS, ScanRequestedV1.key)
        for hours in (-1, 0, 1):
            await stack.enter_async_context(running("scheduler", settings, off_by(hours), Stop()))
        heard: list[ScanRequestedV1] = []

        def polls() -> list[str | None]:
            while not found.empty():
                heard.append(ScanRequestedV1.model_validate_json(found.get_nowait().body))
            return [each.moment for each in heard if each.kind is ScanKind.RECONCILE]

        await eventually(lambda: len(set(polls())) == 5, seconds=30, what="every tenant's poll")
        # Who joins is asked for by a later tick.
        town.tenants.append(TENANTS[5])
        await eventually(lambda: len(set(polls())) == 6, seconds=30, what="a new tenant's poll")
        assert len(polls()) == 6

        async def nothing_is_due() -> bool:
            told = json.loads(await answer(settings, as_json=True))
            assert {tenant["tenant_id"] for tenant in told["tenants"]} == set(town.tenants)
            return {each["state"] for tenant in told["tenants"] for each in tenant["next"]} == {"waits"}

        # The daily scan of who joined may be asked for in the moment after its poll.
        await eventually(nothing_is_due, seconds=30, what="everything asked for")
