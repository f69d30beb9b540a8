"""What a clock that was ahead for a while leaves in the record holds nobody back once it is right again."""

from datetime import timedelta

import httpx
import pytest

from shared.clients.token_broker import fingerprint
from shared.contracts.tokens import TokenGranted
from token_broker.timing import RefreshTiming
from unit.token_broker.assembly import ACME, NOON, Replica

TIMING = RefreshTiming()
HOUR = 3600.0


@pytest.mark.parametrize(
    ("ahead", "failures", "holds"),
    [
        (None, 0, False),
        (-1, 0, False),
        (0, 0, False),
        (5, 0, True),
        (6, 0, False),
        (300, 1, True),
        (2250, 9, True),
        (2251, 9, False),
    ],
)
def test_a_hold_further_away_than_the_longest_is_no_reason_to_wait(
    ahead: float | None, failures: int, holds: bool
) -> None:
    not_before = None if ahead is None else NOON + timedelta(seconds=ahead)
    assert TIMING.holds(not_before, NOON, failures) is holds


@pytest.mark.parametrize(("ahead", "stands"), [(None, False), (0, False), (50, True), (51, False)])
def test_a_claim_that_goes_further_than_any_can_does_not_stand_as_it_is(ahead: float | None, stands: bool) -> None:
    until = None if ahead is None else NOON + timedelta(seconds=ahead)
    assert TIMING.claims(until, NOON) is stands


def test_however_long_xero_asks_us_to_wait_a_hold_has_an_end() -> None:
    assert TIMING.backoff(0, 86_400, 1) == TIMING.longest_hold(1)


async def test_a_token_that_was_stored_an_hour_ahead_is_replaced_once(replica: Replica) -> None:
    await replica.connect("user-1", ACME)
    replica.time.advance(HOUR)
    ahead = await replica.ask()
    replica.time.advance(-HOUR)
    after = await replica.ask()
    assert isinstance(ahead, TokenGranted)
    assert isinstance(after, TokenGranted)
    assert after.access_token != ahead.access_token
    assert after.expires_at == NOON + timedelta(seconds=1800)
    assert await replica.ask() == after


async def test_a_refused_token_is_renewed_after_a_jump_back(replica: Replica) -> None:
    await replica.connect("user-1", ACME)
    replica.time.advance(1790)
    before = await replica.ask()
    assert isinstance(before, TokenGranted)
    replica.time.advance(-HOUR)
    after = await replica.ask(refused=fingerprint(before.access_token))
    assert isinstance(after, TokenGranted)


async def test_a_failure_that_was_noted_an_hour_ahead_puts_nothing_off(replica: Replica) -> None:
    await replica.connect("user-1", ACME)
    replica.time.advance(HOUR)
    replica.xero.replies.append(lambda _: httpx.Response(503))
    assert not isinstance(await replica.ask(), TokenGranted)
    replica.time.advance(-HOUR + 1200)
    assert isinstance(await replica.ask(), TokenGranted)


async def test_a_claim_of_a_dead_replica_lapses_within_its_life_after_a_jump_back(replica: Replica) -> None:
    """And no sooner: who made it may be alive."""
    await replica.connect("user-1", ACME)
    replica.time.advance(HOUR)
    seen = await replica.grants.read("user-1")
    assert seen is not None
    assert await replica.grants.claim(seen, "dead", TIMING.claim_seconds) is not None
    replica.time.advance(-HOUR + 1795)
    assert await replica.grants.unsettled(10) == ["user-1"]
    shortened = await replica.grants.claim(seen, "second", TIMING.claim_seconds)
    assert shortened is None
    replica.time.advance(TIMING.claim_seconds - 1)
    assert await replica.grants.claim(seen, "third", TIMING.claim_seconds) is None
    replica.time.advance(2)
    assert isinstance(await replica.ask(), TokenGranted)


async def test_a_look_that_was_planned_a_year_ahead_is_due(replica: Replica) -> None:
    await replica.connect("user-1", ACME)
    replica.time.advance(365 * 24 * HOUR)
    await replica.keep()
    replica.time.advance(-364 * 24 * HOUR)
    assert await replica.grants.unlooked(10) == ["user-1"]
