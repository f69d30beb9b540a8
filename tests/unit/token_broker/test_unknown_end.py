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
from token_broker.ports import ANSWER_LOST, INVALID_GRANT, Grant, TokenPair
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
    await expired.keep()
    assert (await stored(expired)).generation == 1
    expired.time.advance(timing.claim_seconds + 1)
    await expired.keep()
    if timing is XERO:
        assert ("recovered", "user-1", "2") in expired.figures.seen
        assert isinstance(await expired.ask(), TokenGranted)
        assert reasons(expired) == set()
    else:
        assert await expired.ask() == TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)
        assert reasons(expired) == {ANSWER_LOST}
        assert xero.counts["accepted"] == 0
    assert xero.counts["reuse"] == 0


GRACE = pytest.mark.parametrize("timing", [XERO], indirect=True, ids=["grace"])


@pytest.mark.parametrize("timing", [STRICT], indirect=True, ids=["strict"])
async def test_a_provider_that_revokes_on_reuse_never_sees_a_token_that_may_have_been_used(
    expired: Replica, xero: StrictXero
) -> None:
    await left_by_a_dead_replica(expired)
    expired.time.advance(100)
    for _ in range(3):
        assert await expired.ask() == TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)
        await expired.keep()
    assert reasons(expired) == {ANSWER_LOST}
    assert (xero.counts["accepted"], xero.counts["refused"]) == (0, 0)


@GRACE
async def test_a_gateway_that_fails_for_hours_loses_no_grant(expired: Replica, xero: StrictXero) -> None:
    for _ in range(150):
        xero.replies.append(status(504))
        await expired.keep()
        await expired.ask()
        expired.time.advance(51)
    xero.replies.clear()
    assert isinstance(await expired.ask(), TokenGranted)
    assert reasons(expired) == set()
    assert xero.counts["reuse"] == 0


@GRACE
async def test_a_refusal_after_the_grace_says_that_the_answer_was_lost(expired: Replica, xero: StrictXero) -> None:
    await left_by_a_dead_replica(expired)
    xero.revoke("user-1")
    expired.time.advance(1801)
    assert await expired.ask() == TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)
    assert reasons(expired) == {ANSWER_LOST}


async def test_a_refusal_that_nobody_confirmed_is_confirmed_by_the_keeper(expired: Replica, xero: StrictXero) -> None:
    claim = await expired.grants.claim(await stored(expired), "a replica that died", XERO.claim_seconds)
    assert claim is not None
    await expired.grants.put_off(claim, XERO.confirm_seconds, failures=0, refusals=1)
    xero.revoke("user-1")
    expired.time.advance(XERO.confirm_seconds)
    await expired.keep()
    assert reasons(expired) == {INVALID_GRANT}


@GRACE
async def test_a_refusal_after_an_unknown_end_is_confirmed_inside_the_grace(expired: Replica, xero: StrictXero) -> None:
    xero.replies.append(failing(httpx.ReadError))
    await expired.ask()
    expired.time.advance(51)
    xero.replies.append(body(400, '{"error": "invalid_grant"}'))
    assert isinstance(await expired.ask(), TokenGranted)
    assert (xero.counts["replaced"], xero.counts["accepted"]) == (2, 1)


async def test_a_pair_that_was_long_in_being_stored_lives_no_longer_for_it(expired: Replica) -> None:
    claim = await expired.grants.claim(await stored(expired), "slow", 50)
    assert claim is not None
    expired.time.advance(40)
    pair = TokenPair(SecretStr("access"), SecretStr("refresh"), 1800)
    assert await expired.grants.renew(claim, pair, rest_seconds=5)
    assert (await stored(expired)).expires_at == claim.claimed_at + timedelta(seconds=1800)


@GRACE
async def test_what_is_unknown_is_settled_without_a_caller_though_xero_turns_it_away_first(
    expired: Replica, xero: StrictXero
) -> None:
    await left_by_a_dead_replica(expired)
    xero.replies += [status(503), failing(httpx.ConnectError)]
    for _ in range(40):
        expired.time.advance(5)
        await expired.keep()
    assert ("recovered", "user-1", "2") in expired.figures.seen
    assert (xero.counts["accepted"], xero.counts["reuse"]) == (1, 0)


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
        xero.replies.append(status(503))
    for _ in range(60):
        await expired.ask()
        await expired.keep()
        await asyncio.sleep(0)
        expired.time.advance(5)
    # 300 s: after 30, 60, 120 and then 240
    assert xero.counts["replaced"] == 4
