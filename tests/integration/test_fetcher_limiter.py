"""The call limits hold in Redis for any number of clients, and nobody's crash uses them up."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from fetcher.adapters.limiter import CallLimiter, Limits, tenant_key
from fetcher.adapters.permits import Limit, Remaining
from shared.errors import RetryableError
from shared.runtime.redis import create_redis

pytestmark = pytest.mark.integration

WINDOW = 1.0
TENANT = "tenant-a"
EPOCH = "duebell:fetcher:calls:epoch"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """One that has counted for longer than any call matters."""
    async with create_redis(redis_url) as client:
        await client.set(EPOCH, "1")
        yield client


def limiter(
    redis: Redis,
    *,
    per_minute: int = 1000,
    concurrent: int = 1000,
    per_day: int = 100_000,
    lease: float = 5.0,
    longest_wait: float = 10.0,
) -> CallLimiter:
    return CallLimiter(
        redis,
        Limits(per_minute, concurrent, per_day),
        window_seconds=WINDOW,
        lease_seconds=lease,
        longest_wait_seconds=longest_wait,
    )


class Provider:
    """Sees each call somewhere between its grant and its end, as the network pleases, and counts strictly."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.in_flight = 0
        self.most_in_flight = 0

    async def call(self, before: float, after: float) -> None:
        await asyncio.sleep(before)
        self.arrivals.append(asyncio.get_running_loop().time())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(after)
        self.in_flight -= 1

    def most_in_any(self, window: float) -> int:
        return max(sum(start <= other < start + window for other in self.arrivals) for start in self.arrivals)


async def test_no_window_of_the_providers_holds_more_calls_than_the_limit(redis: Redis, redis_url: str) -> None:
    provider = Provider()
    clients = [create_redis(redis_url) for _ in range(4)]
    limiters = [limiter(client, per_minute=20, concurrent=5) for client in clients]

    async def work(number: int) -> None:
        # The path to the provider is slow for some calls and quick for others.
        async with limiters[number % 4].permit(TENANT):
            await provider.call(before=0.15 if number % 3 else 0.0, after=0.02)

    started = asyncio.get_running_loop().time()
    await asyncio.gather(*(work(number) for number in range(70)))
    took = asyncio.get_running_loop().time() - started
    for client in clients:
        await client.aclose()
    assert len(provider.arrivals) == 70
    assert provider.most_in_any(WINDOW) <= 20
    assert provider.most_in_flight <= 5
    # Four windows' worth of calls: the limit is used, not just kept.
    assert took < 4 * (WINDOW + 0.6)


async def test_another_tenant_is_not_delayed(redis: Redis) -> None:
    limits = limiter(redis, per_minute=1, longest_wait=0.1)
    async with limits.permit("busy"):
        pass
    with pytest.raises(RetryableError, match="minute_limit"):
        await _one_call(limits, "busy")
    await _one_call(limits, "quiet")


async def test_a_permit_that_is_given_back_still_counts_for_a_window(redis: Redis) -> None:
    limits = limiter(redis, per_minute=2, longest_wait=0.1)
    await _one_call(limits)
    await _one_call(limits)
    with pytest.raises(RetryableError, match="minute_limit") as refusal:
        await _one_call(limits)
    assert not refusal.value.counts
    assert refusal.value.retry_after is not None
    assert 0.5 < refusal.value.retry_after <= WINDOW + 0.01


async def test_a_crashed_holders_place_is_freed_by_its_lease(redis: Redis) -> None:
    limits = limiter(redis, concurrent=1, lease=0.4, longest_wait=0.1)
    crashed = limits.permit(TENANT)
    await crashed.__aenter__()
    with pytest.raises(RetryableError, match="call_slots_taken"):
        await _one_call(limits)
    patient = limiter(redis, concurrent=1, lease=0.4, longest_wait=2)
    started = asyncio.get_running_loop().time()
    await _one_call(patient)
    assert asyncio.get_running_loop().time() - started < 1
    await crashed.__aexit__(None, None, None)


async def test_a_crashed_holders_call_counts_until_a_window_after_its_lease(redis: Redis) -> None:
    limits = limiter(redis, per_minute=1, lease=0.3, longest_wait=5)
    crashed = limits.permit(TENANT)
    await crashed.__aenter__()
    started = asyncio.get_running_loop().time()
    await _one_call(limits)
    assert asyncio.get_running_loop().time() - started >= 0.3 + WINDOW - 0.05
    await crashed.__aexit__(None, None, None)


async def test_a_call_that_timed_out_keeps_its_place_until_the_lease_ends(redis: Redis) -> None:
    limits = limiter(redis, concurrent=1, lease=5, longest_wait=0.1)
    with pytest.raises(TimeoutError):
        async with limits.permit(TENANT):
            raise TimeoutError
    with pytest.raises(RetryableError, match="call_slots_taken"):
        await _one_call(limits)


async def test_a_call_that_was_never_sent_gives_its_place_back(redis: Redis) -> None:
    limits = limiter(redis, concurrent=1, longest_wait=0.1)
    with pytest.raises(ConnectionError):
        async with limits.permit(TENANT):
            raise ConnectionError
    await _one_call(limits)


async def test_the_day_has_a_budget(redis: Redis) -> None:
    limits = limiter(redis, per_day=3)
    for _ in range(3):
        await _one_call(limits)
    with pytest.raises(RetryableError, match="day_limit") as refusal:
        await _one_call(limits)
    assert refusal.value.retry_after is not None
    assert 24 * 3600 <= refusal.value.retry_after <= 25 * 3600
    assert not refusal.value.counts


async def test_hours_that_have_passed_are_forgotten(redis: Redis) -> None:
    limits = limiter(redis, per_day=3)
    seconds, _ = await redis.time()
    hour = int(seconds) // 3600
    await redis.hset(
        f"duebell:fetcher:calls:{{{TENANT}}}:day", mapping={str(hour - 25): 3, str(hour - 24): 1, str(hour): 1}
    )
    await _one_call(limits)
    with pytest.raises(RetryableError, match="day_limit") as refusal:
        await _one_call(limits)
    assert refusal.value.retry_after is not None
    assert refusal.value.retry_after <= 3600


async def test_a_held_tenant_gets_nothing_until_the_hold_ends(redis: Redis) -> None:
    limits = limiter(redis)
    await limits.hold(TENANT, 0.4)
    await limits.hold(TENANT, 0.1)
    started = asyncio.get_running_loop().time()
    await _one_call(limits)
    assert asyncio.get_running_loop().time() - started >= 0.35
    await limits.hold(TENANT, 66975)
    with pytest.raises(RetryableError, match="tenant_held") as refusal:
        await _one_call(limits)
    assert refusal.value.retry_after == pytest.approx(66975, abs=1)


async def test_without_redis_there_is_no_permit() -> None:
    async with create_redis("redis://127.0.0.1:1/0", timeout_seconds=0.5) as nowhere:
        with pytest.raises(RetryableError, match="redis_unreachable") as refusal:
            await _one_call(limiter(nowhere))
    assert not refusal.value.counts


async def test_nothing_is_kept_for_ever(redis: Redis) -> None:
    limits = limiter(redis)
    await _one_call(limits)
    async with limits.permit(TENANT) as permit:
        permit.endpoint = "invoice"
        await limits.learn(permit, Remaining(minute=50, day=5, app=7))
    await limits.hold(TENANT, 5)
    await limits.hold(TENANT, 5, Limit.APP)
    for key in await redis.keys("*"):
        assert await redis.ttl(key) >= 0, key


async def _one_call(limits: CallLimiter, tenant_id: str = TENANT) -> None:
    async with limits.permit(tenant_id):
        pass


async def test_a_redis_clock_that_went_back_holds_a_tenant_for_one_window_and_no_longer(redis: Redis) -> None:
    calls = limiter(redis, per_minute=4, concurrent=3, lease=0.5)
    async with calls.permit(TENANT):
        pass
    hour = (await redis.time())[0] * 1000 + 3_600_000
    await redis.zadd(tenant_key(TENANT, "window"), {f"ended-{number}": hour for number in range(4)})
    await redis.zadd(tenant_key(TENANT, "flight"), {f"lost-{number}": hour for number in range(3)})
    began = asyncio.get_running_loop().time()
    async with calls.permit(TENANT):
        took = asyncio.get_running_loop().time() - began
    assert took >= WINDOW * 0.9, "they count for a window from now"
