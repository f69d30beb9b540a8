"""Composition root."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scheduler.adapters.claims import RedisClaims
from scheduler.adapters.pace import RedisPace
from scheduler.adapters.time_zones import RedisTimeZones
from scheduler.handlers import build_router
from scheduler.loop import TickLoop
from scheduler.settings import SchedulerSettings
from scheduler.tick import Tick
from shared.policy_file import load_policy
from shared.runtime.redis import create_redis
from shared.runtime.service import Core, Service


@asynccontextmanager
async def create_app(settings: SchedulerSettings, core: Core) -> AsyncIterator[Service]:
    policy = load_policy(settings.policy_file)
    async with create_redis(settings.redis_url.get_secret_value()) as redis, core.token_broker() as token_broker:
        zones, pace = RedisTimeZones(redis), RedisPace(redis)
        ticks = TickLoop(Tick(token_broker, zones, pace, RedisClaims(redis), core.events, policy))

        async def redis_answers() -> bool:
            return bool(await redis.ping())

        yield Service(routers=[build_router(zones, pace)], loops={"ticks": ticks}, checks={"redis": redis_answers})
