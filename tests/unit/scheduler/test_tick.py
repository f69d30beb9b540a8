"""One request per moment, whatever fails."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.due import RECONCILE_SPREAD
from scheduler.tick import Tick
from shared.errors import PublishFailed
from shared.policy import Policy
from shared.scan_times import share_of
from unit.scheduler.fakes import FakeClaims, FakeConnections, FakePace, FakePublisher, FakeStore, FakeZones

NOW = datetime(2026, 6, 23, 12, 0, tzinfo=UTC)


class Scene:
    """Replicas around one store, with a clock that the test sets; the tenant's rounds begin at ``NOW``."""

    def __init__(self) -> None:
        self.now = NOW
        self.store = FakeStore(lambda: self.now)
        self.publisher = FakePublisher(lambda: self.now)
        self.pace = FakePace()
        self.connections = FakeConnections(NOW - timedelta(hours=5) - share_of("reconcile:t", RECONCILE_SPREAD), "t")
        self.zones = FakeZones("t", "late")

    def replica(self) -> Tick:
        return self.around(FakeClaims(self.store))

    def around(self, claims: FakeClaims) -> Tick:
        return Tick(self.connections, self.zones, self.pace, claims, self.publisher, Policy())

    def later(self, **much: float) -> None:
        self.now += timedelta(**much)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_many_ticks_of_many_replicas_ask_once(scene: Scene) -> None:
    assert [await scene.replica()() for _ in range(3)] == [2, 0, 0]
    assert [event.key for event in scene.publisher.published] == ["scan.requested.v1"] * 2


async def test_a_request_that_could_not_be_published_is_asked_again(scene: Scene) -> None:
    scene.publisher.failing = True
    with pytest.raises(PublishFailed):
        await scene.replica()()
    assert not scene.store.entries
    scene.publisher.failing = False
    assert await scene.replica()() == 2


async def test_a_replica_that_dies_before_it_published_holds_the_moment_up_for_a_minute(scene: Scene) -> None:
    class Killed(BaseException):
        pass

    async def die(*_: object, **__: object) -> None:
        raise Killed

    dying, scene.publisher.publish = scene.publisher.publish, die  # type: ignore[method-assign]  # dies in the publish
    with pytest.raises(Killed):
        await scene.replica()()
    scene.publisher.publish = dying  # type: ignore[method-assign]  # the others live
    other = scene.replica()
    assert await other() == 1
    scene.later(seconds=59)
    assert await other() == 0
    scene.later(seconds=2)
    assert await other() == 1


async def test_a_store_that_fails_after_the_publish_is_told_by_the_next_tick(scene: Scene) -> None:
    claims = FakeClaims(scene.store)
    tick = scene.around(claims)
    claims.failing = True
    with pytest.raises(ConnectionError):
        await tick()
    claims.failing = False
    scene.later(seconds=5)
    assert await tick() == 1
    scene.later(minutes=5)
    assert await scene.replica()() == 0
    assert len(scene.publisher.moments()) == len(set(scene.publisher.moments())) == 2


async def test_a_wiped_store_doubles_nothing_while_a_replica_remembers(scene: Scene) -> None:
    old, newcomer = scene.replica(), scene.replica()
    assert await old() == 2
    scene.store.wipe()
    counts = []
    for _ in range(20):
        counts += [await newcomer(), await old()]
        scene.later(seconds=5)
    assert sum(counts) == 0
    assert await scene.replica()() == 0


async def test_a_store_wiped_in_the_middle_of_a_tick_gives_nothing_more_away(scene: Scene) -> None:
    old, other = scene.replica(), scene.replica()
    assert await old() == 2
    tell = scene.publisher.publish

    async def wiping(*arguments: object, **options: object) -> None:
        await tell(*arguments, **options)  # type: ignore[arg-type]  # as it was called
        scene.store.wipe()
        await old()

    scene.connections.tenants["late"] = NOW - timedelta(hours=5.5)
    scene.publisher.publish = wiping  # type: ignore[method-assign]  # the flush comes between two claims
    assert await other() == 1
    scene.publisher.publish = tell  # type: ignore[method-assign]  # no further flush
    scene.later(seconds=31)
    assert await other() == 1
    assert len(set(scene.publisher.moments())) == len(scene.publisher.published) == 4


async def test_what_nobody_remembers_is_asked_for_once_more(scene: Scene) -> None:
    await scene.replica()()
    scene.store.wipe()
    only = scene.replica()
    assert await only() == 0
    scene.later(seconds=31)
    assert await only() == 2
    assert len(set(scene.publisher.moments())) == 2


async def test_while_webhooks_are_silent_a_tenant_is_reconciled_every_quarter_of_an_hour(scene: Scene) -> None:
    scene.pace.until = NOW + timedelta(hours=1)
    counts = []
    for minute in range(1, 120, 5):
        scene.now = NOW + timedelta(minutes=minute)
        counts.append(await scene.replica()())
    # The receivables and the hour's; a quarter each while it holds; then the hour's again, at its own time.
    assert counts == [2, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, *[0] * 11]


async def test_a_pace_that_slackens_asks_for_no_hour_twice(scene: Scene) -> None:
    scene.pace.until = NOW + timedelta(minutes=50)
    for _ in range(0, 60, 5):
        await scene.replica()()
        scene.later(minutes=5)
    scene.now = NOW + timedelta(minutes=55)
    assert await scene.replica()() == 0


async def test_tenants_join_and_leave_between_two_ticks(scene: Scene) -> None:
    tick = scene.replica()
    assert await tick() == 2
    scene.connections.tenants["late"] = scene.now
    scene.later(seconds=5)
    assert await tick() == 1
    assert scene.publisher.moments()[-1] == "late:receivables:2026-06-23"
    del scene.connections.tenants["t"]
    scene.later(hours=1, minutes=5)
    assert await tick() == 1
    assert scene.publisher.moments()[-1].startswith("late:reconcile:")
