"""One request per moment, whatever fails."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduler.due import Moment
from scheduler.tick import Tick
from shared.contracts import Event
from shared.contracts.tokens import Connection, ConnectionsList
from shared.errors import PublishFailed
from shared.policy import Policy

NOW = datetime(2026, 6, 23, 12, 0, tzinfo=UTC)


class FakeConnections:
    async def connections(self) -> ConnectionsList:
        return ConnectionsList(
            connections=(
                Connection(tenant_id="t", tenant_name="Meera Textiles", connected_at=NOW - timedelta(hours=5)),
            )
        )


class FakeZones:
    async def remember(self, tenant_id: str, time_zone: str) -> None:
        raise NotImplementedError

    async def all(self) -> Mapping[str, ZoneInfo]:
        return {"t": ZoneInfo("Asia/Kolkata")}


class FakePace:
    def __init__(self, until: datetime | None = None) -> None:
        self.until = until

    async def quicken(self, until: datetime) -> None:
        self.until = until

    async def quickened_until(self) -> datetime | None:
        return self.until


class FakeClaims:
    def __init__(self) -> None:
        self.held: set[Moment] = set()
        self.finished: set[Moment] = set()

    async def take(self, moment: Moment) -> bool:
        if moment in self.held | self.finished:
            return False
        self.held.add(moment)
        return True

    async def done(self, moment: Moment) -> None:
        self.held.remove(moment)
        self.finished.add(moment)

    async def give_back(self, moment: Moment) -> None:
        self.held.remove(moment)


class FakePublisher:
    def __init__(self) -> None:
        self.published: list[Event] = []
        self.failing = False

    async def publish(self, event: Event, *, deadline: float | None = None) -> None:
        if self.failing:
            raise PublishFailed("publish_unconfirmed")
        self.published.append(event)


def make_tick(claims: FakeClaims, publisher: FakePublisher, pace: FakePace | None = None, now: datetime = NOW) -> Tick:
    return Tick(FakeConnections(), FakeZones(), pace or FakePace(), claims, publisher, Policy(), lambda: now)


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
