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


def make_tick(claims: FakeClaims, publisher: FakePublisher) -> Tick:
    return Tick(FakeConnections(), FakeZones(), claims, publisher, Policy(), lambda: NOW)


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
