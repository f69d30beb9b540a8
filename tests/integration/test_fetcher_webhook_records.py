"""What webhooks led to and what polls alone found, as Redis really keeps it: within bounds, counted once, and gone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from fetcher.adapters import webhook_records
from fetcher.adapters.webhook_records import RedisWebhookRecords
from fetcher.silence import Silence
from fetcher.versions import Account, Heard, Version
from shared.errors import RetryableError
from shared.runtime.redis import create_redis

pytestmark = pytest.mark.integration

NOW = datetime(2026, 6, 23, 9, 0, 0, 123000, UTC)
MINUTE = timedelta(minutes=1)


def version(number: int, minutes: float = 0, tenant: str = "a") -> Version:
    return Version(tenant, f"invoice-{number}", NOW + minutes * MINUTE)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with create_redis(redis_url) as client:
        yield client


@pytest.fixture
def records(redis: Redis) -> RedisWebhookRecords:
    return RedisWebhookRecords(redis, lambda: NOW)


async def test_what_was_noted_is_heard_by_its_tenant_alone_and_new_once(records: RedisWebhookRecords) -> None:
    read, told = [version(1), version(1, 1)], {"invoice-2": NOW}
    assert [await records.note("a", told, read) for _ in range(2)] == [2, 0]
    heard = await records.heard("a", [version(1), version(1, 2), version(2)])
    assert heard == Heard(frozenset({version(1)}), {("a", "invoice-2"): NOW})
    assert await records.heard("b", [version(1, tenant="b")]) == Heard()


async def test_an_older_word_does_not_take_back_a_newer_one(records: RedisWebhookRecords) -> None:
    for at in (NOW, NOW - MINUTE):
        await records.note("a", {"invoice-1": at}, [])
        await records.hear(at)
    assert (await records.heard("a", [version(1)])).told == {("a", "invoice-1"): NOW}
    assert await records.heard_at() == NOW


async def test_a_webhook_from_the_future_was_heard_now(redis: Redis, records: RedisWebhookRecords) -> None:
    await records.hear(NOW + 365 * 24 * 60 * MINUTE)
    assert await records.heard_at() == NOW
    await RedisWebhookRecords(redis, lambda: NOW + 60 * MINUTE).hear(NOW + 60 * MINUTE)
    await records.hear(NOW - MINUTE)
    assert await records.heard_at() == NOW - MINUTE


async def test_what_was_heard_is_bounded_in_time_and_number(
    redis: Redis, records: RedisWebhookRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_records, "MOST_OF_A_TENANT", 1500)
    many = [version(number, number / 1000) for number in range(2500)]
    assert await records.note("a", {}, many) == 2500
    await records.note("a", {"old": NOW - 3 * 24 * 60 * MINUTE}, [])
    assert (await records.heard("a", [*many, version(1)])).read == set(many[1000:])
    keys = await redis.keys("*")
    assert keys == ["duebell:fetcher:webhooks:read:a"]
    assert 0 < await redis.ttl(keys[0]) <= 2 * 24 * 3600


async def test_a_suspect_is_settled_once_by_many_and_suspected_no_more(records: RedisWebhookRecords) -> None:
    suspects = [version(1), version(2), version(3, tenant="b|c")]
    await records.suspect(suspects, NOW)
    await records.suspect(suspects, NOW + MINUTE)
    assert await records.suspects(NOW - MINUTE, 10) == []
    assert set(await records.suspects(NOW, 10)) == set(suspects)
    assert len(await records.suspects(NOW, 2)) == 2
    counts = await asyncio.gather(*(records.settle(suspects, suspects[1:]) for _ in range(5)))
    assert sum(counts) == 2
    await records.suspect(suspects, NOW)
    assert await records.suspects(NOW, 10) == suspects[:1]
    assert set(await records.missed()) == set(suspects[1:])


async def test_what_was_missed_is_kept_for_a_week_and_within_bounds(
    records: RedisWebhookRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_records, "MOST_MISSED", 3)
    found = [version(0, -8 * 24 * 60), *(version(number, number) for number in range(1, 6))]
    await records.suspect(found, NOW)
    await records.settle(found, found)
    assert await records.missed() == found[-3:]


async def test_a_silence_is_announced_by_one_and_ended_by_one(redis: Redis, records: RedisWebhookRecords) -> None:
    assert sorted([await records.may_announce(), await records.may_announce()]) == [False, True]
    assert 0 < await redis.ttl("duebell:fetcher:webhooks:announcing") <= 60
    assert await records.silence() is None
    await records.begin_silence(Silence(NOW - MINUTE, NOW))
    assert await records.silence() == Silence(NOW - MINUTE, NOW)
    assert [await records.end_silence(), await records.end_silence()] == [True, False]


async def test_an_account_is_found_again_until_redis_is_emptied(redis: Redis, records: RedisWebhookRecords) -> None:
    await records.keep_account("a", Account(NOW - MINUTE, NOW))
    assert await records.account("a") == Account(NOW - MINUTE, NOW)
    await redis.flushdb()
    assert (await records.account("a"), await records.heard_at(), await records.missed()) == (None, None, [])


async def test_a_silent_redis_is_a_passing_fault() -> None:
    async with create_redis("redis://127.0.0.1:1/0", timeout_seconds=0.5) as nowhere:
        with pytest.raises(RetryableError, match="redis_unreachable"):
            await RedisWebhookRecords(nowhere, lambda: NOW).note("a", {}, [version(1)])
