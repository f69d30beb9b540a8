"""The guards in the record: who holds no claim on the present generation can neither send nor write."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from shared.contracts.tokens import TokenGranted
from shared.errors import RetryableError
from token_broker.adapters.grant_store import SqlGrants
from token_broker.keyring import SealBroken
from token_broker.ports import Claim, Grant, Organisation, TokenPair
from token_broker.problems import ConsentRefused, Problem
from token_broker.tables import grants
from unit.token_broker.assembly import ACME, Replica, open_replica
from unit.token_broker.strict_xero import StrictXero, body

PAIR = TokenPair(SecretStr("late access"), SecretStr("late refresh"), 1800)


@pytest.fixture
async def second(replica: Replica, xero: StrictXero, tmp_path: Path) -> AsyncIterator[Replica]:
    """Another replica on the same database, at the same time."""
    async with open_replica(f"sqlite:///{tmp_path / 'broker.db'}", xero, time=replica.time) as opened:
        yield opened


@pytest.fixture
async def expired(replica: Replica) -> Replica:
    await replica.connect("user-1", ACME)
    replica.time.advance(1800)
    return replica


async def seen(replica: Replica) -> Grant:
    grant = await replica.grants.read("user-1")
    assert grant is not None
    return grant


async def claimed(replica: Replica, life: float = 60) -> Claim:
    claim = await replica.grants.claim(await seen(replica), "first", life)
    assert claim is not None
    return claim


async def test_a_claim_is_had_by_one_until_it_lapses(expired: Replica) -> None:
    await claimed(expired)
    assert await expired.grants.claim(await seen(expired), "second", 60) is None
    expired.time.advance(61)
    assert await expired.grants.claim(await seen(expired), "second", 60) is not None


async def test_a_generation_that_has_passed_cannot_be_claimed(expired: Replica) -> None:
    old = await seen(expired)
    assert isinstance(await expired.ask(), TokenGranted)
    expired.time.advance(1800)
    assert await expired.grants.claim(old, "second", 60) is None


async def test_a_claim_that_somebody_else_took_over_writes_nothing(expired: Replica) -> None:
    first = await claimed(expired)
    expired.time.advance(61)
    assert await expired.grants.claim(await seen(expired), "second", 60) is not None
    before = await seen(expired)
    assert not await expired.grants.renew(first, PAIR, rest_seconds=5)
    assert not await expired.grants.lose(first, "invalid_grant")
    await expired.grants.put_off(first, 900, failures=9, refusals=1)
    assert await seen(expired) == before
    assert [each.tenant_id for each in await expired.connections.connected()] == [ACME[0]]


async def test_a_refresh_token_that_does_not_open_leaves_no_claim(expired: Replica) -> None:
    async with expired.database.transaction() as work:
        await work.connection.execute(sa.update(grants).values(refresh_token="k1.AAAA"))
    with pytest.raises(SealBroken):
        await claimed(expired)
    assert (await seen(expired)).claimed_until is None


async def test_a_claim_on_a_passed_generation_writes_nothing(expired: Replica) -> None:
    first = await claimed(expired)
    await expired.connect("user-1", ACME)
    before = await seen(expired)
    moved = replace(first, generation=before.generation)
    for stale in (first, moved):
        assert not await expired.grants.renew(stale, PAIR, rest_seconds=5)
    assert await seen(expired) == before


async def test_a_lapsed_claim_that_nobody_took_still_writes(expired: Replica) -> None:
    first = await claimed(expired)
    expired.time.advance(600)
    assert await expired.grants.renew(first, PAIR, rest_seconds=5)
    assert (await seen(expired)).access_token == PAIR.access_token


async def test_two_replicas_without_redis_never_use_a_token_twice(
    expired: Replica, second: Replica, xero: StrictXero
) -> None:
    for _ in range(10):
        await asyncio.gather(*(each.ask() for each in (expired, second) for _ in range(5)))
        answers = [await expired.ask(), await second.ask()]
        assert len({answer.access_token for answer in answers if isinstance(answer, TokenGranted)}) == 1
        expired.time.advance(1800)
    assert (xero.counts["accepted"], xero.counts["reuse"], xero.overlaps) == (10, 0, 0)


class FailingDatabase(SqlGrants):
    """Fails before or after the next writes of a pair, or at the next readings once a claim is had."""

    before = 0
    after = 0
    reads_after_a_claim = 0
    claimed = False

    async def read(self, grant_id: str) -> Grant | None:
        if self.claimed and self.reads_after_a_claim:
            self.reads_after_a_claim -= 1
            raise RetryableError("database_unavailable")
        return await super().read(grant_id)

    async def claim(self, seen: Grant, owner: str, life_seconds: float) -> Claim | None:
        claim = await super().claim(seen, owner, life_seconds)
        self.claimed = claim is not None
        return claim

    async def renew(self, claim: Claim, pair: TokenPair, *, rest_seconds: float) -> bool:
        if self.before:
            self.before -= 1
            raise RetryableError("database_unavailable")
        saved = await super().renew(claim, pair, rest_seconds=rest_seconds)
        if self.after:
            self.after -= 1
            raise RetryableError("database_unavailable")
        return saved


@pytest.mark.parametrize(("before", "after"), [(3, 0), (0, 1), (2, 1), (400, 0)])
async def test_a_pair_outlives_a_database_that_stumbles(
    expired: Replica, xero: StrictXero, before: int, after: int
) -> None:
    expired.grants.__class__ = FailingDatabase
    assert isinstance(expired.grants, FailingDatabase)
    expired.grants.before, expired.grants.after = before, after
    assert isinstance(await expired.ask(), TokenGranted)
    assert (await seen(expired)).generation == 2
    expired.time.advance(1800)
    assert isinstance(await expired.ask(), TokenGranted)
    assert (xero.counts["accepted"], xero.counts["reuse"]) == (2, 0)


async def test_a_refusal_outlives_a_database_that_stumbles(expired: Replica, xero: StrictXero) -> None:
    """A claim that stayed would make the end of this refresh unknown, and a strict provider's grant lost."""
    expired.grants.__class__ = FailingDatabase
    assert isinstance(expired.grants, FailingDatabase)
    expired.grants.reads_after_a_claim = 3
    xero.replies.append(body(400, '{"error": "invalid_grant"}'))
    await expired.ask()
    assert expired.grants.reads_after_a_claim == 0
    assert (await seen(expired)).claimed_until is None


async def test_a_callback_that_was_overtaken_stores_nothing(replica: Replica) -> None:
    state = await replica.state(replica.link())
    slow = await replica.consents.begin(state, "slow", 60)
    replica.time.advance(61)
    await replica.consents.begin(state, "quick", 60)
    with pytest.raises(ConsentRefused) as caught:
        await replica.consents.complete(slow, "user-1", PAIR, [Organisation(*ACME)])
    assert caught.value.problem is Problem.STATE_USED
    assert await replica.grants.read("user-1") is None
    assert await replica.connections.connected() == []


class FromServer(Exception):  # noqa: N818 - what PostgreSQL's driver raises
    def __init__(self, sqlstate: str) -> None:
        super().__init__("the database system is starting up")
        self.sqlstate = sqlstate


@pytest.mark.parametrize("sqlstate", ["57P03", "57P01", "53300", "40P01", "08006"])
async def test_a_database_that_is_starting_or_full_is_one_to_ask_again(replica: Replica, sqlstate: str) -> None:
    with pytest.raises(RetryableError, match="database_unavailable"):
        async with replica.database.transaction():
            raise sa.exc.DBAPIError("SELECT 1", {}, FromServer(sqlstate))


async def test_a_statement_that_is_wrong_is_our_bug(replica: Replica) -> None:
    with pytest.raises(sa.exc.DBAPIError):
        async with replica.database.transaction():
            raise sa.exc.DBAPIError("SELECT 1", {}, FromServer("42601"))
