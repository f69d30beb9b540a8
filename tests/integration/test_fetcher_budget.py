"""The day's budget: who yields when it runs short, what Xero's word changes, and what is kept of it all."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from fetcher.adapters.limiter import CallLimiter, Limits, tenant_key
from fetcher.adapters.pacing import SweepPacing
from fetcher.adapters.permits import DayLeft, Limit, Remaining
from fetcher.adapters.spending import Spending
from fetcher.purposes import Purpose
from shared.errors import RetryableError
from shared.runtime.redis import create_redis

pytestmark = pytest.mark.integration

TENANT = "tenant-a"
HOUR = 3600


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with create_redis(redis_url) as client:
        await client.set("duebell:fetcher:calls:epoch", "1")
        yield client


def limiter(redis: Redis, *, per_day: int = 1000, longest_wait: float = 0.1) -> CallLimiter:
    return CallLimiter(redis, Limits(10_000, 1000, per_day), window_seconds=1.0, longest_wait_seconds=longest_wait)


async def spend(limits: CallLimiter, purpose: Purpose = Purpose.LOOK, left: int | None = None) -> None:
    """One call, and what Xero says is left of the day after it."""
    async with limits.permit(TENANT, purpose) as permit:
        permit.endpoint, permit.received_bytes = "invoices", 2100
        await limits.learn(permit, Remaining(day=left))


async def refusal(limits: CallLimiter, purpose: Purpose = Purpose.LOOK) -> RetryableError:
    with pytest.raises(RetryableError) as failure:
        await spend(limits, purpose)
    assert not failure.value.counts
    return failure.value


async def test_sweeps_yield_first_and_looks_last(redis: Redis) -> None:
    limits = limiter(redis, per_day=100)
    granted, refusals = dict.fromkeys(Purpose, 0), dict[Purpose, str]()
    for purpose in Purpose:
        while purpose not in refusals:
            try:
                await spend(limits, purpose)
                granted[purpose] += 1
            except RetryableError as error:
                refusals[purpose] = error.reason
    assert list(refusals.values()) == ["day_reserve", "day_reserve", "day_limit"]
    assert granted == {Purpose.SWEEP: 90, Purpose.EVENT: 6, Purpose.LOOK: 4}


async def test_xeros_word_overrules_our_count_downwards_and_upwards(redis: Redis) -> None:
    limits = limiter(redis, per_day=1000)
    await spend(limits, left=2)
    await spend(limits)
    await spend(limits)
    spent = await refusal(limits)
    assert spent.reason == "day_limit"
    assert spent.retry_after == pytest.approx(55 * 60, abs=5)
    await redis.delete(tenant_key(TENANT, "told"))
    for _ in range(10):
        await redis.hincrby(tenant_key(TENANT, "day"), str(int((await redis.time())[0]) // HOUR), 99)
        async with limits.permit(TENANT) as permit:
            await limits.learn(permit, Remaining(day=800))
    # A day that ends at an hour of Xero's own is not waited for by our clock.
    assert (await limits.day_left(TENANT)).calls == 800
    await spend(limits, Purpose.SWEEP)


async def test_a_budget_below_xeros_limit_is_kept_by_our_own_count(redis: Redis) -> None:
    limits = limiter(redis, per_day=3)
    for left in (4999, 4998, 4997):
        await spend(limits, left=left)
    assert (await refusal(limits)).reason == "day_limit"


async def test_what_xero_told_is_put_to_the_test_once_an_hour(redis: Redis) -> None:
    limits = limiter(redis)
    await spend(limits, left=50)
    assert (await refusal(limits, Purpose.SWEEP)).reason == "day_reserve"
    seconds, _ = await redis.time()
    await redis.hset(tenant_key(TENANT, "told"), "at", str((int(seconds) - HOUR) * 1000))
    async with limits.permit(TENANT, Purpose.SWEEP):
        # One asks for all.
        assert (await refusal(limits, Purpose.SWEEP)).reason == "day_reserve"


async def test_an_old_word_lets_a_reconcile_test_it_however_little_is_left(redis: Redis) -> None:
    limits = limiter(redis)
    pacing = SweepPacing(redis, limits.day_left, 1000, lambda: None)
    for left in (400, 150, 50, 0):
        await spend(limits, left=left)
        await pacing.ended(TENANT)
        assert not await pacing.may_reconcile(TENANT)
        seconds, _ = await redis.time()
        await redis.hset(tenant_key(TENANT, "told"), "at", str((int(seconds) - 55 * 60) * 1000))
        assert await limits.day_left(TENANT) == DayLeft(left, is_old=True)
        assert await pacing.may_reconcile(TENANT)


async def test_calls_in_flight_are_not_taken_for_left_over(redis: Redis) -> None:
    limits = limiter(redis)
    async with limits.permit(TENANT) as first, limits.permit(TENANT):
        # Xero has seen one of the two.
        await limits.learn(first, Remaining(day=1))
        assert (await refusal(limits)).reason == "day_limit"


async def test_an_older_answer_never_gives_more(redis: Redis) -> None:
    limits = limiter(redis)
    async with limits.permit(TENANT) as older:
        await asyncio.sleep(0.01)
        await spend(limits, left=100)
        await limits.learn(older, Remaining(day=200))
    assert (await limits.day_left(TENANT)).calls <= 100


@pytest.mark.parametrize("seconds", [3600, 66_975])
async def test_a_spent_day_parks_the_tenant_until_the_time_xero_gave(redis: Redis, seconds: float) -> None:
    limits = limiter(redis, longest_wait=100_000)
    async with limits.permit(TENANT) as permit:
        await limits.hold(TENANT, seconds, Limit.DAY)
        await limits.learn(permit, Remaining(day=0))
    async with asyncio.timeout(1):
        parked = await refusal(limits)
    assert parked.reason == "tenant_parked"
    assert (await limits.day_left(TENANT)).calls == 0
    assert parked.retry_after == pytest.approx(seconds, abs=2)


async def test_a_parked_day_begins_anew_when_xero_said(redis: Redis) -> None:
    limits = limiter(redis, per_day=3)
    for _ in range(3):
        await spend(limits)
    await limits.hold(TENANT, 0.3, Limit.DAY)
    assert (await refusal(limits)).reason == "tenant_parked"
    await asyncio.sleep(0.35)
    await spend(limits)


async def test_a_minutes_hold_leaves_the_days_count_alone(redis: Redis) -> None:
    limits = limiter(redis, per_day=1)
    await spend(limits)
    await limits.hold(TENANT, 0.01)
    await asyncio.sleep(0.02)
    assert (await refusal(limits)).reason == "day_limit"


async def test_reconciles_thin_out_with_the_day(redis: Redis) -> None:
    limits = limiter(redis)
    put_off: list[None] = []
    pacing = SweepPacing(redis, limits.day_left, 1000, lambda: put_off.append(None))

    async def asked_thrice(left: int) -> list[bool]:
        await redis.delete(f"duebell:fetcher:reconciled:{TENANT}")
        async with limits.permit(TENANT) as permit:
            await limits.learn(permit, Remaining(day=left))
        answers = [await pacing.may_reconcile(TENANT)]
        # One that broke off has not ended, and is let through again.
        answers.append(await pacing.may_reconcile(TENANT))
        await pacing.ended(TENANT)
        return [*answers, await pacing.may_reconcile(TENANT)]

    async def goes_back(seconds: int) -> None:
        key = f"duebell:fetcher:reconciled:{TENANT}"
        await redis.expire(key, await redis.ttl(key) - seconds)

    assert await asked_thrice(900) == [True, True, True]
    assert await asked_thrice(400) == [True, True, False]
    await goes_back(HOUR)
    assert not await pacing.may_reconcile(TENANT)
    await goes_back(HOUR)
    assert await pacing.may_reconcile(TENANT)
    assert await asked_thrice(150) == [True, True, False]
    await goes_back(3 * HOUR)
    assert not await pacing.may_reconcile(TENANT)
    await goes_back(HOUR)
    assert await pacing.may_reconcile(TENANT)
    assert await asked_thrice(99) == [False, False, False]
    assert len(put_off) == 7


async def test_what_a_tenant_costs_is_kept_by_purpose_and_endpoint(redis: Redis) -> None:
    limits = limiter(redis)
    await redis.hset(tenant_key(TENANT, "figures"), mapping={"1:calls:event": 5, "1:bytes": 7})
    for purpose in (Purpose.EVENT, Purpose.EVENT, Purpose.SWEEP):
        await spend(limits, purpose, left=700)
    with pytest.raises(TimeoutError):
        async with limits.permit(TENANT):
            raise TimeoutError
    await limits.hold(TENANT, 100, Limit.DAY)
    [spent] = await Spending(redis, limits).tenants()
    assert (spent.tenant_id, spent.name) == (TENANT, None)
    assert spent.calls == {"event": 2, "sweep": 1, "look": 1}
    assert spent.endpoints == {"invoices": 3}
    # A week is kept, and no more.
    assert (spent.bytes, spent.week_bytes) == (6300, 6300)
    assert spent.held == "day"
    assert spent.until is not None


async def test_a_spent_day_behind_a_longer_minute_is_a_spent_day(redis: Redis) -> None:
    """Else what its refusal says of the day would be believed of the next one."""
    limits = limiter(redis)
    async with limits.permit(TENANT) as permit:
        await limits.hold(TENANT, 30, Limit.MINUTE)
        await limits.hold(TENANT, 10, Limit.DAY)
        await limits.learn(permit, Remaining(day=0))
    assert (await refusal(limits)).reason == "tenant_parked"
    assert 20_000 < await redis.pttl(tenant_key(TENANT, "hold")) <= 30_000
    await redis.delete(tenant_key(TENANT, "hold"))
    async with limits.permit(TENANT):
        assert (await limits.day_left(TENANT)).calls > 0
