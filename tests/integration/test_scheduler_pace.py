"""The scheduler hears that webhooks are silent, and remembers until when."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from scheduler.adapters.pace import RedisPace
from scheduler.app import create_app
from scheduler.settings import SchedulerSettings
from shared.contracts import WebhookSilentV1
from shared.runtime.redis import create_redis
from shared.runtime.service import Stop, running
from support.broker import open_broker
from support.waiting import eventually

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def silent(until: datetime) -> WebhookSilentV1:
    return WebhookSilentV1(
        since=NOW, heard_at=None, changes=5, tenants=1, announced_at=NOW, until=until, remedy="Press the button."
    )


async def test_a_silence_quickens_the_polls_until_the_time_it_tells(amqp_url: str, redis_url: str) -> None:
    settings = SchedulerSettings(amqp_url=SecretStr(amqp_url), redis_url=SecretStr(redis_url), scheduler_port=0)
    async with open_broker(amqp_url) as broker, create_redis(redis_url) as redis:
        pace = RedisPace(redis)
        async with running("scheduler", settings, create_app, Stop()):
            await broker.events.publish(silent(NOW + DAY))
            assert await eventually(pace.quickened_until, what="the pace") == NOW + DAY


async def test_an_older_word_shortens_nothing(redis_url: str) -> None:
    async with create_redis(redis_url) as redis:
        pace = RedisPace(redis)
        assert await pace.quickened_until() is None
        for until in (NOW + DAY, NOW + DAY / 2):
            await pace.quicken(until)
        assert await pace.quickened_until() == NOW + DAY
        assert await _seconds_kept(redis) > DAY.total_seconds()


async def _seconds_kept(redis: Redis) -> int:
    [key] = await redis.keys("*")
    return int(await redis.ttl(key))
