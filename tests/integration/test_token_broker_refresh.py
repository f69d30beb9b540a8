"""Two replicas, one database, one Redis, and a provider that revokes on reuse: one refresh per expiry, reuse never."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from redis.asyncio import Redis

from shared.contracts.tokens import TokenGranted, TokenRefusal, TokenRefused
from shared.runtime.redis import create_redis
from token_broker.adapters.refresh_lock import RedisRefreshLock
from token_broker.ports import RefreshLock
from token_broker.tables import grants
from token_broker.timing import Pacing, RefreshTiming
from unit.token_broker.assembly import ACME, BRIO, NoLock, RealTime, Replica, open_replica
from unit.token_broker.strict_xero import StrictXero

pytestmark = pytest.mark.integration

CALLERS = 50
KEY = "duebell:token-broker:refresh:user-1"


@dataclass
class Pair:
    """Two replicas that share everything but memory."""

    one: Replica
    two: Replica
    redis: Redis
    xero: StrictXero

    async def expire(self) -> None:
        """Both tenants' access token runs out now."""
        past = grants.c.refreshed_at
        async with self.one.database.transaction() as work:
            await work.connection.execute(sa.update(grants).values(expires_at=past, not_before=None))

    async def ask_all(self) -> list[TokenGranted | TokenRefused]:
        asks = [replica.ask(tenant) for tenant in (ACME[0], BRIO[0]) for replica in (self.one, self.two)]
        more = [replica.ask(ACME[0]) for _ in range(CALLERS - 2) for replica in (self.one, self.two)]
        return await asyncio.gather(*asks, *more)

    async def generation(self) -> int:
        grant = await self.one.grants.read("user-1")
        assert grant is not None
        return grant.generation


def pacing(time: RealTime, **changes: float) -> Pacing:
    return Pacing(replace(RefreshTiming(), **changes), time.monotonic, time.pause, lambda: 0.0)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = create_redis(redis_url)
    yield client
    await client.aclose()


async def open_pair(
    stack: AsyncExitStack,
    database_url: str,
    redis: Redis,
    *,
    locks: tuple[RefreshLock, RefreshLock] | None = None,
    skew_seconds: float = 0,
    **timing: float,
) -> Pair:
    xero = StrictXero()
    opened = []
    for number in range(2):
        time = RealTime(skew_seconds * number)
        lock = locks[number] if locks else RedisRefreshLock(redis, 30, 50)
        opened.append(
            await stack.enter_async_context(
                open_replica(database_url, xero, time=time, pacing=pacing(time, **timing), lock=lock)
            )
        )
    pair = Pair(opened[0], opened[1], redis, xero)
    assert (await pair.one.connect("user-1", ACME, BRIO)).status_code == 200
    await pair.expire()
    return pair


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


def assert_same_token(answers: list[TokenGranted | TokenRefused]) -> None:
    tokens = {answer.access_token.get_secret_value() for answer in answers if isinstance(answer, TokenGranted)}
    assert len(tokens) == 1
    assert all(isinstance(answer, TokenGranted) for answer in answers)


async def test_one_expiry_is_one_refresh_for_all_callers_of_all_replicas(
    stack: AsyncExitStack, database_url: str, redis: Redis
) -> None:
    pair = await open_pair(stack, database_url, redis)
    for _ in range(5):
        await pair.expire()
        assert_same_token(await pair.ask_all())
    assert (pair.xero.counts["accepted"], pair.xero.counts["reuse"], pair.xero.overlaps) == (5, 0, 0)
    assert await pair.generation() == 6
    assert await redis.keys("*") == []


async def test_of_all_replicas_one_keeps_an_idle_grant_alive(
    stack: AsyncExitStack, database_url: str, redis: Redis
) -> None:
    # Replicas on SQLite share one machine and so one clock.
    skew = 0 if database_url.startswith("sqlite") else 3600
    pair = await open_pair(stack, database_url, redis, skew_seconds=skew)
    async with pair.one.database.transaction() as work:
        await work.connection.execute(sa.update(grants).values(look_at=None))
    begun = await asyncio.gather(*(each.grants.begin_look("user-1", 300) for each in (pair.one, pair.two) * 5))
    assert sum(begun) == 1


async def test_without_redis_the_claim_alone_keeps_the_promise(stack: AsyncExitStack, database_url: str) -> None:
    nowhere = create_redis("redis://127.0.0.1:1/0", timeout_seconds=0.5)
    stack.push_async_callback(nowhere.aclose)
    pair = await open_pair(stack, database_url, nowhere)
    for _ in range(5):
        await pair.expire()
        assert_same_token(await pair.ask_all())
    assert (pair.xero.counts["accepted"], pair.xero.counts["reuse"], pair.xero.overlaps) == (5, 0, 0)


@pytest.mark.parametrize("wipe", ["delete", "flush"])
async def test_a_lock_that_vanishes_during_the_request_lets_nobody_else_send(
    stack: AsyncExitStack, database_url: str, redis: Redis, wipe: str
) -> None:
    pair = await open_pair(stack, database_url, redis, patience_seconds=2)
    pair.xero.hold = asyncio.Event()
    first = asyncio.create_task(pair.one.ask())
    await pair.xero.asked.wait()
    assert await redis.exists(KEY)
    await (redis.delete(KEY) if wipe == "delete" else redis.flushdb())
    second = await pair.two.ask()
    assert second == TokenRefused(reason=TokenRefusal.TRY_LATER, retry_after=2)
    pair.xero.hold.set()
    await pair.one.refresher.drain()
    await first
    assert_same_token([await pair.one.ask(), await pair.two.ask()])
    assert (pair.xero.counts["accepted"], pair.xero.counts["reuse"]) == (1, 0)


async def test_callers_that_leave_during_the_request_lose_nothing(
    stack: AsyncExitStack, database_url: str, redis: Redis
) -> None:
    pair = await open_pair(stack, database_url, redis)
    pair.xero.hold = asyncio.Event()
    callers = [asyncio.create_task(replica.ask()) for replica in (pair.one, pair.two) for _ in range(10)]
    await pair.xero.asked.wait()
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    pair.xero.hold.set()
    await asyncio.gather(pair.one.refresher.drain(), pair.two.refresher.drain())
    assert await pair.generation() == 2
    assert (pair.xero.counts["accepted"], pair.xero.counts["reuse"]) == (1, 0)


async def test_an_answer_that_comes_after_a_new_consent_overwrites_nothing(
    stack: AsyncExitStack, database_url: str, redis: Redis
) -> None:
    pair = await open_pair(stack, database_url, redis)
    pair.xero.hold = asyncio.Event()
    late = asyncio.create_task(pair.one.ask())
    await pair.xero.asked.wait()
    assert (await pair.two.connect("user-1", ACME)).status_code == 200
    pair.xero.hold.set()
    assert_same_token([await late, await pair.two.ask()])
    assert ("failed", "superseded", "claim_lost") in pair.one.figures.seen
    await pair.expire()
    assert_same_token(await pair.ask_all())
    assert pair.xero.counts["reuse"] == 0
    assert await pair.generation() == 3


async def test_a_claim_left_by_a_dead_replica_lapses_and_the_same_token_is_used(
    stack: AsyncExitStack, database_url: str, redis: Redis
) -> None:
    pair = await open_pair(stack, database_url, redis)
    grant = await pair.one.grants.read("user-1")
    assert grant is not None
    assert await pair.one.grants.claim(grant, "a replica that died", 0.5) is not None
    assert await pair.two.grants.claim(grant, "a living one", 60) is None
    assert_same_token(await pair.ask_all())
    assert (pair.xero.counts["accepted"], pair.xero.counts["reuse"]) == (1, 0)


async def test_a_lock_left_by_a_dead_replica_only_delays(
    stack: AsyncExitStack, database_url: str, redis: Redis
) -> None:
    pair = await open_pair(stack, database_url, redis)
    await redis.set(KEY, "a replica that died", px=500)
    assert_same_token(await pair.ask_all())
    assert pair.xero.counts["accepted"] == 1


async def test_a_lock_without_a_claim_is_passed_by_and_left_alone(
    stack: AsyncExitStack, database_url: str, redis: Redis
) -> None:
    pair = await open_pair(stack, database_url, redis)
    await redis.set(KEY, "set by a Redis that was paused, for a client that had left", px=60_000)
    assert_same_token(await pair.ask_all())
    assert (pair.xero.counts["accepted"], pair.xero.counts["reuse"]) == (1, 0)
    assert await redis.get(KEY) == "set by a Redis that was paused, for a client that had left"


async def test_a_replica_whose_clock_is_wrong_takes_no_claim_and_gives_no_dead_token(
    stack: AsyncExitStack, database_url: str, redis: Redis
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("replicas on SQLite share one machine and so one clock")
    pair = await open_pair(stack, database_url, redis, locks=(NoLock(), NoLock()), skew_seconds=600, patience_seconds=1)
    pair.xero.hold = asyncio.Event()
    first = asyncio.create_task(pair.one.ask())
    await pair.xero.asked.wait()
    assert isinstance(await pair.two.ask(), TokenRefused)
    pair.xero.hold.set()
    await first
    await pair.one.refresher.drain()
    answers = [await pair.one.ask(), await pair.two.ask()]
    assert_same_token(answers)
    assert (pair.xero.counts["accepted"], pair.xero.counts["reuse"]) == (1, 0)
    granted = answers[1]
    assert isinstance(granted, TokenGranted)
    assert granted.expires_at <= pair.one.time.clock() + timedelta(seconds=1800)


async def test_only_the_owner_releases_or_renews_the_lock(redis: Redis) -> None:
    lock = RedisRefreshLock(redis, 0.6, 5)
    async with lock.hold("user-1") as ours:
        assert ours
        async with lock.hold("user-1") as theirs:
            assert not theirs
        assert await redis.exists(KEY)
        await redis.set(KEY, "another owner", px=60_000)
    assert await redis.get(KEY) == "another owner"


async def test_the_lock_is_renewed_while_it_is_held(redis: Redis) -> None:
    lock = RedisRefreshLock(redis, 0.6, 5)
    async with lock.hold("user-1"):
        await asyncio.sleep(1.0)
        assert await redis.exists(KEY)
    assert not await redis.exists(KEY)


async def test_consents_of_one_user_at_once_make_one_grant(
    stack: AsyncExitStack, database_url: str, redis: Redis
) -> None:
    pair = await open_pair(stack, database_url, redis)
    journeys = [replica.connect("user-2", BRIO, ("tenant-c", "C")) for replica in (pair.one, pair.two) for _ in "12"]
    links = await asyncio.gather(*journeys)
    assert sorted({page.status_code for page in links}) == [200]
    grant = await pair.one.grants.of_tenant("tenant-c")
    assert grant is not None
    assert (grant.id, grant.generation) == ("user-2", 4)
    assert isinstance(await pair.two.ask(BRIO[0]), TokenGranted)
