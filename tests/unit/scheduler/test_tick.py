"""One request per moment, whatever fails."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.tick import Tick
from shared.errors import PublishFailed
from shared.policy import Policy
from unit.scheduler.fakes import FakeClaims, FakeConnections, FakePace, FakePublisher, FakeZones

NOW = datetime(2026, 6, 23, 12, 0, tzinfo=UTC)


def make_tick(claims: FakeClaims, publisher: FakePublisher, pace: FakePace | None = None, now: datetime = NOW) -> Tick:
    connections = FakeConnections(NOW - timedelta(hours=5), "t")
    return Tick(connections, FakeZones("t"), pace or FakePace(), claims, publisher, Policy(), lambda: now)


async def test_many_ticks_of_many_replicas_ask_once() -> None:
    claims, publisher = FakeClaims(), FakePublisher()
    counts = [await make_tick(claims, publisher)() for _ in range(3)]
    assert counts == [2, 0, 0]
    assert [event.key for event in publisher.published] == ["scan.requested.v1"] * 2


async def test_a_request_that_could_not_be_published_is_asked_again() -> None:
    claims, publisher = FakeClaims(), FakePublisher()
    publisher.failing = True
    with pytest.raises(PublishFailed):
        await make_tick(claims, publisher)()
    assert not claims.held
    publisher.failing = False
    assert await make_tick(claims, publisher)() == 2


async def test_while_webhooks_are_silent_a_tenant_is_reconciled_every_quarter_of_an_hour() -> None:
    claims, publisher = FakeClaims(), FakePublisher()
    pace = FakePace(NOW + timedelta(hours=1))
    counts = [
        await make_tick(claims, publisher, pace, NOW + timedelta(minutes=minute))() for minute in range(1, 120, 5)
    ]
    # The receivables and the hour's; a quarter each while it holds; then the hour's again, at its own time.
    assert counts == [2, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, *[0] * 11]


async def test_a_pace_that_slackens_asks_for_no_hour_twice() -> None:
    claims, publisher = FakeClaims(), FakePublisher()
    pace = FakePace(NOW + timedelta(minutes=50))
    for minute in range(0, 60, 5):
        await make_tick(claims, publisher, pace, NOW + timedelta(minutes=minute))()
    assert await make_tick(claims, publisher, pace, NOW + timedelta(minutes=55))() == 0
