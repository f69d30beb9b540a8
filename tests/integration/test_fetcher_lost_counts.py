"""Counts that are lost, or that others add to: Xero's limits hold all the same."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis

from fetcher.adapters.limiter import CallLimiter, Limits, tenant_key
from fetcher.adapters.permits import Limit, Remaining
from shared.errors import RetryableError
from shared.runtime.redis import create_redis
from support.judge import Judge, call_through
from support.own_redis import own_redis
from support.sizes import in_full
from support.waiting import eventually

pytestmark = pytest.mark.integration

WINDOW = 1.0
OURS = 1.1
"""With the margin."""
TENANT = "tenant-a"
EPOCH = "duebell:fetcher:calls:epoch"
Maker = Callable[..., CallLimiter]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with create_redis(redis_url) as client:
        await client.set(EPOCH, "1")
        yield client


@pytest.fixture
async def make(redis_url: str) -> AsyncIterator[Maker]:
    """Makes limiters, each with a connection of its own as in a process of its own."""
    async with AsyncExitStack() as clients:
        opened: list[Redis] = []

        def make(
            *, per_minute: int = 60, concurrent: int = 5, app_per_minute: int = 10_000, longest_wait: float = 10.0
        ) -> CallLimiter:
            opened.append(create_redis(redis_url))
            return CallLimiter(
                opened[-1],
                Limits(per_minute, concurrent, 100_000, app_per_minute),
                window_seconds=OURS,
                lease_seconds=5.0,
                longest_wait_seconds=longest_wait,
            )

        yield make
        for client in opened:
            await clients.enter_async_context(client)


async def load(limiters: list[CallLimiter], judge: Judge, seconds: float, *, most: int = 1000) -> None:
    """Eight workers of each limiter call as fast as they may, until the judge counts ``most`` in one window."""
    ends_at = asyncio.get_running_loop().time() + seconds

    async def work(limits: CallLimiter) -> None:
        while asyncio.get_running_loop().time() < ends_at and judge.counted() < most:
            with suppress(RetryableError):
                await call_through(limits, TENANT, judge)

    await asyncio.gather(*(work(limits) for limits in limiters for _ in range(8)))


@pytest.mark.parametrize("fetchers", [1, 3] if in_full() else [3])
@pytest.mark.parametrize("moment", [0.1, 0.3, 0.8] if in_full() else [0.3])
async def test_a_redis_emptied_under_load_breaks_no_limit(
    redis: Redis, make: Maker, fetchers: int, moment: float
) -> None:
    judge = Judge()
    limiters = [make() for _ in range(fetchers)]
    working = asyncio.create_task(load(limiters, judge, 4.5))
    await eventually(lambda: judge.in_flight > 0, what="the first call")
    await asyncio.sleep(moment)
    await redis.flushall()
    await redis.script_flush()
    at_flush = len(judge.arrivals)
    await asyncio.sleep(OURS - 0.1)
    # Only what was on its way still arrived: the rest of that minute is what the loss costs.
    assert len(judge.arrivals) <= at_flush + 5
    await working
    assert judge.breaches == {}
    assert judge.most_in_any_window() <= 60
    assert len(judge.arrivals) > at_flush + 5


async def test_a_new_fetcher_that_finds_redis_empty_waits_as_soon_as_an_old_one_is_heard(
    redis: Redis, make: Maker
) -> None:
    judge = Judge()
    old, new = make(), make()
    await load([old], judge, 0.3)
    async with old.permit(TENANT):
        await redis.flushall()
    with pytest.raises(RetryableError, match="counts_lost"):
        await call_through(make(longest_wait=0.1), TENANT, judge)
    await call_through(new, TENANT, judge)
    assert judge.breaches == {}


async def test_when_redis_and_all_fetchers_are_lost_one_call_finds_out(redis: Redis, make: Maker) -> None:
    judge = Judge()
    await load([make(longest_wait=0.02)], judge, 9, most=55)
    assert judge.counted() >= 50
    await redis.flushall()
    await load([make(), make(), make()], judge, 3)
    assert judge.breaches.total() <= 1
    assert judge.most_in_any_window() <= 60


async def test_on_an_empty_redis_one_call_flies_alone_until_xero_has_told(redis: Redis, make: Maker) -> None:
    await redis.flushall()
    limits = make(longest_wait=0.1)
    async with limits.permit(TENANT) as permit:
        with pytest.raises(RetryableError, match="call_slots_taken"):
            await call_through(limits, TENANT, Judge())
        await limits.learn(permit, Remaining(minute=3))
        async with limits.permit(TENANT):
            pass
        async with limits.permit(TENANT):
            pass
    async with limits.permit(TENANT):
        pass
    with pytest.raises(RetryableError, match="minute_limit"):
        await call_through(limits, TENANT, Judge())


async def test_a_redis_that_forgot_its_last_moments_is_found_out(redis: Redis, make: Maker) -> None:
    limits = make(longest_wait=0.1)
    async with limits.permit(TENANT):
        await redis.delete(tenant_key(TENANT, "flight"))
    with pytest.raises(RetryableError, match="counts_lost"):
        await call_through(limits, TENANT, Judge())
    with pytest.raises(RetryableError, match="counts_lost"):
        await call_through(limits, "another", Judge())


async def test_calls_that_end_while_redis_dies_miss_what_it_forgot(tmp_path: Path) -> None:
    """Its machine loses power: the disk has the counts of a moment ago, and five calls come back to nobody."""
    judge = Judge()
    with own_redis(tmp_path) as server:
        await server.start()
        async with create_redis(server.url) as redis:
            await redis.set(EPOCH, "1")
            limits = CallLimiter(
                redis, Limits(60, 5, 1000), window_seconds=30, lease_seconds=30, longest_wait_seconds=0.1
            )
            for _ in range(30):
                await call_through(limits, TENANT, judge)
            await redis.save()
            for _ in range(23):
                await call_through(limits, TENANT, judge)
            async with AsyncExitStack() as flying:
                for _ in range(5):
                    await flying.enter_async_context(limits.permit(TENANT))
                server.kill()
                await limits.hold(TENANT, 40, Limit.MINUTE)
            with pytest.raises(RetryableError, match="redis_unreachable"):
                await call_through(limits, TENANT, judge)
            await server.start()
            for tenant in (TENANT, "another"):
                with pytest.raises(RetryableError, match="counts_lost"):
                    await call_through(limits, tenant, judge)
            assert 20_000 < await redis.pttl(tenant_key(TENANT, "hold")) <= 40_000


async def test_a_call_that_is_given_back_twice_is_no_loss(redis: Redis, make: Maker) -> None:
    """The answer to a release may be lost, and the release itself not."""
    limits = make(longest_wait=0.1)
    async with limits.permit(TENANT) as permit:
        permit.endpoint, permit.received_bytes = "invoices", 1000
        await limits._return(permit)
    await call_through(limits, TENANT, Judge())
    figures = await redis.hgetall(tenant_key(TENANT, "figures"))
    assert sum(int(count) for name, count in figures.items() if str(name).endswith(":bytes")) == 1000


async def test_what_others_call_makes_us_pull_back(redis: Redis, make: Maker) -> None:
    judge = Judge()
    limits = make(longest_wait=0.1)
    await call_through(limits, TENANT, judge)
    judge.foreign(40)
    for _ in range(19):
        await call_through(limits, TENANT, judge)
    with pytest.raises(RetryableError, match="minute_limit"):
        await call_through(limits, TENANT, judge)
    assert judge.breaches == {}


async def test_when_nothing_is_left_nothing_is_granted_for_a_window(redis: Redis, make: Maker) -> None:
    limits = make()
    async with limits.permit(TENANT) as permit:
        await limits.learn(permit, Remaining(minute=0))
    # More is left, Xero says: that makes no room.
    async with asyncio.timeout(3):
        started = asyncio.get_running_loop().time()
        async with limits.permit(TENANT) as permit:
            await limits.learn(permit, Remaining(minute=60))
    assert asyncio.get_running_loop().time() - started >= OURS - 0.05


async def test_xeros_word_never_makes_room(redis: Redis, make: Maker) -> None:
    limits = make(per_minute=2, longest_wait=0.1)
    for _ in range(2):
        async with limits.permit(TENANT) as permit:
            await limits.learn(permit, Remaining(minute=59))
    with pytest.raises(RetryableError, match="minute_limit"):
        await call_through(limits, TENANT, Judge())


async def test_our_own_calls_are_never_taken_for_those_of_others(redis: Redis, make: Maker) -> None:
    judge = Judge()
    await load([make(), make(), make()], judge, 3)
    assert judge.breaches == {}
    # Calls of others are entered under a number behind the call that heard of them.
    entered = await redis.zrange(tenant_key(TENANT, "window"), 0, -1)
    assert entered
    assert [call_id for call_id in entered if ":" in str(call_id)] == []


async def test_the_app_has_one_minute_for_all_tenants_and_fetchers(redis: Redis, make: Maker) -> None:
    limiters = [make(app_per_minute=10, longest_wait=0.1) for _ in range(2)]
    judge = Judge(per_window=1000)
    for number in range(10):
        await call_through(limiters[number % 2], f"tenant-{number}", judge)
    with pytest.raises(RetryableError, match="app_limit"):
        await call_through(limiters[0], "one-more", judge)
    await asyncio.sleep(OURS)
    with pytest.raises(RetryableError, match="app_limit"):
        await call_through(limiters[1], "one-more", judge)
    # In whole seconds, and four more for what is on its way.
    async with asyncio.timeout(8):
        await call_through(make(app_per_minute=10), "one-more", judge)


async def test_what_xero_counts_for_the_app_is_heeded(redis: Redis, make: Maker) -> None:
    limits = make(longest_wait=0.1)
    async with limits.permit(TENANT) as permit:
        await limits.learn(permit, Remaining(app=2))
    async with limits.permit("b"), limits.permit("c"):
        with pytest.raises(RetryableError, match="app_limit"):
            await call_through(limits, "d", Judge())


async def test_the_apps_refusal_holds_everybody(redis: Redis, make: Maker) -> None:
    limits = make(longest_wait=0.1)
    await limits.hold(TENANT, 0.4, Limit.APP)
    with pytest.raises(RetryableError, match="app_held"):
        await call_through(limits, "another", Judge())
    await asyncio.sleep(0.4)
    await call_through(limits, "another", Judge())
