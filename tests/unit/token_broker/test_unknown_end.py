"""A refresh whose end nobody knows: sent again inside the grace, given up outside it, never sent by the late."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from shared.contracts.connections import ConnectionLostV1
from shared.contracts.tokens import TokenGranted, TokenRefusal, TokenRefused
from token_broker.ports import ANSWER_LOST, Claim, Grant, TokenPair
from token_broker.timing import Pacing, RefreshTiming
from unit.token_broker.assembly import ACME, BRIO, FakeTime, Replica, open_replica
from unit.token_broker.strict_xero import StrictXero, body, failing, status

XERO = RefreshTiming()
STRICT = replace(XERO, grace_seconds=0)


@pytest.fixture(params=[XERO, STRICT], ids=["grace", "strict"])
def timing(request: pytest.FixtureRequest) -> RefreshTiming:
    found: RefreshTiming = request.param
    return found


@pytest.fixture
async def expired(tmp_path: Path, xero: StrictXero, timing: RefreshTiming) -> AsyncIterator[Replica]:
    time = FakeTime()
    pacing = Pacing(timing, time.monotonic, time.pause, lambda: 0.0)
    async with open_replica(f"sqlite:///{tmp_path / 'broker.db'}", xero, time=time, pacing=pacing) as replica:
        await replica.connect("user-1", ACME, BRIO)
        replica.events.published.clear()
        time.advance(1800)
        yield replica


async def stored(replica: Replica) -> Grant:
    grant = await replica.grants.read("user-1")
    assert grant is not None
    return grant


async def left_by_a_dead_replica(replica: Replica) -> None:
    """A replica claimed the grant, and was never heard of again."""
    assert await replica.grants.claim(await stored(replica), "a replica that died", XERO.claim_seconds) is not None


def reasons(replica: Replica) -> set[str]:
    return {event.reason for event in replica.events.published if isinstance(event, ConnectionLostV1)}


async def test_the_keeper_settles_what_a_dead_replica_left_without_being_asked(
    expired: Replica, xero: StrictXero, timing: RefreshTiming
) -> None:
    await left_by_a_dead_replica(expired)
    await expired.keeper()
    assert (await stored(expired)).generation == 1
    expired.time.advance(timing.claim_seconds + 1)
    await expired.keeper()
    if timing is XERO:
        assert ("recovered", "user-1", "2") in expired.figures.seen
        assert isinstance(await expired.ask(), TokenGranted)
        assert reasons(expired) == set()
    else:
        assert await expired.ask() == TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)
        assert reasons(expired) == {ANSWER_LOST}
        assert xero.counts["accepted"] == 0
    assert xero.counts["reuse"] == 0


async def test_a_token_that_may_have_been_used_before_the_grace_is_not_sent(expired: Replica, xero: StrictXero) -> None:
    await left_by_a_dead_replica(expired)
    expired.time.advance(1800)
    assert await expired.ask() == TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)
    assert reasons(expired) == {ANSWER_LOST}
    assert (xero.counts["accepted"], xero.counts["refused"]) == (0, 0)


@pytest.mark.parametrize("timing", [XERO], indirect=True, ids=["grace"])
async def test_the_grace_counts_from_the_first_request_whose_end_is_unknown(expired: Replica, xero: StrictXero) -> None:
    for _ in range(34):  # 34 × 51 s = 1734 s: one more would end after the grace
        xero.replies.append(failing(httpx.ReadTimeout))
        await expired.ask()
        expired.time.advance(51)
    sent = xero.counts["replaced"]
    assert 20 < sent <= 35
    expired.time.advance(51)
    assert await expired.ask() == TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)
    assert xero.counts["replaced"] == sent


@pytest.mark.parametrize("timing", [XERO], indirect=True, ids=["grace"])
async def test_a_refusal_after_an_unknown_end_is_confirmed_inside_the_grace(expired: Replica, xero: StrictXero) -> None:
    xero.replies.append(failing(httpx.ReadError))
    await expired.ask()
    expired.time.advance(51)
    xero.replies.append(body(400, '{"error": "invalid_grant"}'))
    assert isinstance(await expired.ask(), TokenGranted)
    assert (xero.counts["replaced"], xero.counts["accepted"]) == (2, 1)


@pytest.mark.parametrize("timing", [XERO], indirect=True, ids=["grace"])
async def test_a_request_that_was_held_up_until_the_grace_is_nearly_over_is_not_sent(
    expired: Replica, xero: StrictXero, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_by_a_dead_replica(expired)
    expired.time.advance(1770)
    claim = expired.grants.claim

    async def slow(seen: Grant, owner: str, life_seconds: float) -> Claim | None:
        claimed = await claim(seen, owner, life_seconds)
        expired.time.advance(10)
        return claimed

    monkeypatch.setattr(expired.grants, "claim", slow)
    await expired.ask()
    assert (xero.counts["accepted"], xero.counts["reuse"]) == (0, 0)


async def test_a_pair_that_was_long_in_being_stored_lives_no_longer_for_it(expired: Replica) -> None:
    claim = await expired.grants.claim(await stored(expired), "slow", 50)
    assert claim is not None
    expired.time.advance(40)
    pair = TokenPair(SecretStr("access"), SecretStr("refresh"), 1800)
    assert await expired.grants.renew(claim, pair, rest_seconds=5)
    assert (await stored(expired)).expires_at == claim.claimed_at + timedelta(seconds=1800)


@pytest.mark.parametrize("timing", [XERO], indirect=True, ids=["grace"])
async def test_what_xero_turned_away_meanwhile_does_not_settle_what_is_unknown(
    expired: Replica, xero: StrictXero
) -> None:
    xero.replies.append(failing(httpx.ReadError))
    await expired.ask()
    expired.time.advance(51)
    xero.replies.append(status(503))
    await expired.ask()
    expired.time.advance(1800)
    assert await expired.ask() == TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)
    assert xero.counts["replaced"] == 2


async def test_a_new_consent_settles_everything(expired: Replica, xero: StrictXero) -> None:
    await left_by_a_dead_replica(expired)
    await expired.connect("user-1", ACME)
    for _ in range(3):
        expired.time.advance(1800)
        assert isinstance(await expired.ask(), TokenGranted)
    assert (xero.counts["accepted"], xero.counts["reuse"]) == (3, 0)


async def test_a_lost_grant_keeps_no_token(expired: Replica, xero: StrictXero) -> None:
    xero.revoke("user-1")
    await expired.ask()
    assert (await stored(expired)).access_token.get_secret_value() == ""


async def test_a_provider_that_turns_away_is_asked_no_sooner_than_in_thirty_seconds(
    expired: Replica, xero: StrictXero
) -> None:
    for _ in range(60):
        xero.replies.append(status(500))
    for _ in range(60):
        await expired.ask()
        await expired.keeper()
        await asyncio.sleep(0)
        expired.time.advance(5)
    # 300 s: after 30, 60, 120 and then 240
    assert xero.counts["replaced"] == 4
