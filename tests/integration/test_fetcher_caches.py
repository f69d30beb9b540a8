"""What the fetcher keeps in Redis is found again, ends by itself, and never outlives the news of a change."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from fetcher.adapters.contact_cache import RedisContactCache
from fetcher.adapters.cursors import RedisCursors
from fetcher.adapters.organisation_cache import RedisOrganisationCache
from shared.contracts.invoices import Contact, NoPhoneReason, Organisation
from shared.errors import RetryableError
from shared.runtime.redis import create_redis

pytestmark = pytest.mark.integration

TENANT = "tenant-a"
NOW = datetime(2026, 6, 23, 9, 0, 0, 123456, UTC)
TICK = timedelta(microseconds=1)
ASHA = Contact(contact_id="c1", name="Asha", status="ACTIVE", phone="+919876543210", no_phone_reason=None)
RAVI = Contact(
    contact_id="c2", name="Ravi", status="ACTIVE", phone=None, no_phone_reason=NoPhoneReason.AMBIGUOUS_COUNTRY
)
INDIA = Organisation(name="Sharma", time_zone="Asia/Kolkata", country="IN", base_currency="INR")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with create_redis(redis_url) as client:
        yield client


async def test_contacts_are_found_again_by_their_tenant_alone(redis: Redis) -> None:
    cache = RedisContactCache(redis)
    await cache.keep(TENANT, [ASHA, RAVI], NOW)
    assert await cache.find(TENANT, ["c1", "c2", "c3"]) == {"c1": ASHA, "c2": RAVI}
    assert await cache.find("tenant-b", ["c1"]) == {}
    assert await cache.find(TENANT, []) == {}


async def test_a_reading_that_began_before_the_change_is_not_kept_after_it(redis: Redis) -> None:
    cache = RedisContactCache(redis)
    await cache.keep(TENANT, [ASHA], NOW - TICK)
    await cache.drop(TENANT, "c1", NOW)
    await cache.keep(TENANT, [ASHA], NOW)
    assert await cache.find(TENANT, ["c1"]) == {}


async def test_a_reading_that_began_after_the_change_is_kept_at_once(redis: Redis) -> None:
    cache = RedisContactCache(redis)
    await cache.drop(TENANT, "c1", NOW)
    await cache.keep(TENANT, [ASHA], NOW + TICK)
    assert await cache.find(TENANT, ["c1"]) == {"c1": ASHA}


async def test_the_newest_reading_wins_in_whatever_order_they_are_kept(redis: Redis) -> None:
    cache = RedisContactCache(redis)
    moved = ASHA.model_copy(update={"phone": "+919811122233"})
    await cache.keep(TENANT, [ASHA, RAVI], NOW)
    await cache.keep(TENANT, [moved], NOW + TICK)
    await cache.keep(TENANT, [ASHA], NOW)
    assert await cache.find(TENANT, ["c1", "c2"]) == {"c1": moved, "c2": RAVI}


async def test_what_another_version_kept_is_read_anew(redis: Redis) -> None:
    await redis.set(f"duebell:fetcher:contact:{TENANT}:c1", '{"old": 1}')
    await redis.set(f"duebell:fetcher:organisation:{TENANT}", '{"old": 1}')
    cache = RedisContactCache(redis)
    assert await cache.find(TENANT, ["c1"]) == {}
    await cache.keep(TENANT, [ASHA], NOW)
    assert await cache.find(TENANT, ["c1"]) == {"c1": ASHA}
    assert await RedisOrganisationCache(redis).find(TENANT) is None


async def test_organisations_and_cursors_are_found_again(redis: Redis) -> None:
    organisations, cursors = RedisOrganisationCache(redis), RedisCursors(redis)
    assert (await organisations.find(TENANT), await cursors.find(TENANT)) == (None, None)
    await organisations.keep(TENANT, INDIA)
    await cursors.keep(TENANT, NOW)
    assert (await organisations.find(TENANT), await cursors.find(TENANT)) == (INDIA, NOW)


async def test_people_are_kept_for_a_day_at_most(redis: Redis) -> None:
    await RedisContactCache(redis).keep(TENANT, [ASHA], NOW)
    await RedisOrganisationCache(redis).keep(TENANT, INDIA)
    await RedisContactCache(redis).drop(TENANT, "c2", NOW)
    for key in await redis.keys("*"):
        assert 0 < await redis.ttl(key) <= 24 * 3600


async def test_a_silent_redis_is_a_passing_fault() -> None:
    async with create_redis("redis://127.0.0.1:1/0", timeout_seconds=0.5) as nowhere:
        with pytest.raises(RetryableError, match="redis_unreachable"):
            await RedisContactCache(nowhere).find(TENANT, ["c1"])
        with pytest.raises(RetryableError, match="redis_unreachable"):
            await RedisCursors(nowhere).keep(TENANT, datetime.now(UTC))
