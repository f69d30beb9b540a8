"""Days of webhooks of which some, then all, never come: polls find everything, and it is told."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from support.sizes import rounds
from unit.fetcher.virtual_days import MINUTE, Days

HOUR = timedelta(hours=1)


@pytest.fixture
async def days() -> AsyncIterator[Days]:
    days = Days(tenants=rounds(20, 5))
    yield days
    await days.close()


async def test_a_closed_door_whose_webhooks_come_a_quarter_of_an_hour_later_is_neither_loss_nor_silence(
    days: Days,
) -> None:
    for minute in range(3 * 60 - 45):
        await days.minute(*([False] if minute > 70 else []))
    # The hourly poll falls into it and finds everything before its webhook does.
    for _ in range(50):
        await days.minute(True)
    for _ in range(14):
        await days.minute()
    for version in days.withheld:
        await days.arrive(version)
    for _ in range(90):
        await days.minute()
    assert days.found["poll_only"] == 0
    assert days.announced == []
    assert not days.world.journal.breaches


@pytest.mark.timeout(900)
async def test_what_is_withheld_is_found_counted_and_announced(days: Days) -> None:
    stream, minutes = rounds(10_000, 1_000), 48 * 60
    lost = set(days.dice.sample(range(stream), stream // 100))
    # The first poll of a tenant, an hour after its connection, opens its account.
    for _ in range(70):
        await days.minute()

    sent = 0
    for minute in range(minutes):
        upto = stream * (minute + 1) // minutes
        await days.minute(*(number in lost for number in range(sent, upto)))
        sent = upto
    for _ in range(81):
        await days.minute()
    assert days.found == {"webhook": stream - len(lost), "poll_only": len(lost)}
    assert max(days.delays()) <= HOUR + MINUTE
    assert days.announced == []

    began = days.clock() + MINUTE
    every = rounds(1, 5)
    for minute in range(25 * 60):
        await days.minute(*([True] if minute % every == 0 else []))
    ended = days.clock()
    told, again = days.announced
    assert told.since == again.since == began
    assert told.announced_at - began <= 2 * HOUR
    assert timedelta(0) <= again.announced_at - told.announced_at - 24 * HOUR <= MINUTE
    # Nothing changes for an hour, so that the last of it is found and settled.
    for _ in range(60):
        await days.minute()
    assert days.is_silent
    assert days.found["poll_only"] == len(days.withheld)
    assert max(days.delays()) <= HOUR + MINUTE
    assert max(days.delays(told.announced_at + MINUTE)) <= 15 * MINUTE + MINUTE
    assert {days.polls(tenant, ended - 23 * HOUR, ended + HOUR) for tenant in days.names} == {96}

    await days.minute(False)
    assert not days.is_silent
    for _ in range(26 * 60):
        await days.minute()
    assert {days.polls(tenant, days.clock() - 30 * MINUTE, days.clock()) for tenant in days.names} <= {0, 1}
    assert len(days.announced) == 2
    assert days.found["poll_only"] == len(days.withheld)
    assert not days.world.journal.breaches
