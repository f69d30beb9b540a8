"""Tokens in use are replaced before they expire, spread over minutes; what nobody asks for is left alone."""

from pathlib import Path

import pytest

from shared.contracts.tokens import TokenGranted
from token_broker.timing import Pacing, RefreshTiming
from unit.token_broker.assembly import ACME, FakeTime, Replica, open_replica
from unit.token_broker.strict_xero import StrictXero, status


async def pass_time(replica: Replica, seconds: float, *, asked_every: float | None = None) -> None:
    for second in range(0, int(seconds), 10):
        if asked_every is not None and second % asked_every == 0:
            assert isinstance(await replica.ask(), TokenGranted)
        replica.time.advance(10)
        await replica.ahead()


@pytest.fixture
async def connected(replica: Replica) -> Replica:
    assert (await replica.connect("user-1", ACME)).status_code == 200
    return replica


async def test_a_token_in_use_never_makes_its_callers_wait(connected: Replica, xero: StrictXero) -> None:
    await pass_time(connected, 6 * 3600, asked_every=60)
    # every thirty minutes less the five that it is ahead
    assert 13 <= xero.counts["accepted"] <= 15
    assert xero.counts["reuse"] == 0


async def test_an_hourly_question_keeps_a_token_warm_and_silence_lets_it_go(
    connected: Replica, xero: StrictXero
) -> None:
    await pass_time(connected, 4 * 3600, asked_every=3600)
    assert 9 <= xero.counts["accepted"] <= 10
    so_far = xero.counts["accepted"]
    await pass_time(connected, 10 * 3600)
    assert xero.counts["accepted"] - so_far <= 3


async def test_a_token_is_given_while_its_successor_cannot_be_had(connected: Replica, xero: StrictXero) -> None:
    await connected.ask()
    for _ in range(3):
        xero.replies.append(status(503))
    # the last five minutes begin after 25; freshness ends two minutes before the end
    await pass_time(connected, 28 * 60 - 10, asked_every=30)
    assert (xero.counts["replaced"], xero.counts["accepted"]) == (3, 0)
    await pass_time(connected, 60)
    assert (xero.counts["replaced"], xero.counts["accepted"]) == (3, 1)


async def test_two_replicas_that_both_remember_refresh_once(
    connected: Replica, xero: StrictXero, tmp_path: Path
) -> None:
    async with open_replica(f"sqlite:///{tmp_path / 'broker.db'}", xero, time=connected.time) as second:
        for _ in range(12):
            assert await connected.ask() == await second.ask()
            for _ in range(30):
                connected.time.advance(10)
                await connected.ahead()
                await second.ahead()
    assert xero.counts["accepted"] == 2
    assert xero.counts["reuse"] == 0


async def test_grants_of_one_moment_are_replaced_over_minutes(tmp_path: Path, xero: StrictXero) -> None:
    time = FakeTime()
    spread = iter([index / 20 for index in range(20)] * 10)
    pacing = Pacing(RefreshTiming(), time.monotonic, time.pause, lambda: next(spread))
    async with open_replica(f"sqlite:///{tmp_path / 'broker.db'}", xero, time=time, pacing=pacing) as replica:
        for number in range(10):
            await replica.connect(f"user-{number}", (f"tenant-{number}", "Acme"))
            await replica.ask(f"tenant-{number}")
        most = 0
        for _ in range(150):
            before = xero.counts["accepted"]
            time.advance(10)
            await replica.ahead()
            most = max(most, xero.counts["accepted"] - before)
        assert xero.counts["accepted"] == 10
        assert most <= 2


async def test_a_lost_grant_is_forgotten(connected: Replica, xero: StrictXero) -> None:
    await connected.ask()
    xero.revoke("user-1")
    await pass_time(connected, 2 * 3600)
    assert xero.counts["refused"] == 2
