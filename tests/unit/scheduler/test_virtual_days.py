"""Days of several replicas on the test's clock: outages, jumps, wrong clocks, wiped claims, all zones."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.daily import DailyScans
from scheduler.tick import Tick
from shared.contracts.tokens import Connection
from shared.policy import CatchUp, Policy, TenantPolicy
from support.sizes import rounds
from unit.scheduler.fakes import FakeClaims, FakeConnections, FakePace, FakePublisher, FakeStore, FakeZones

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
STEP = 15 * MINUTE
ZONES = sorted(available_timezones())


@dataclass
class World:
    """``replicas`` tick one after the other; ``off`` is how wrong the shared clock is, ``skews`` what each is told."""

    zones: dict[str, str]
    rules: TenantPolicy = field(default_factory=TenantPolicy)
    skews: tuple[timedelta, ...] = (timedelta(0), timedelta(0))
    begin: datetime = BEGIN
    off: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        self.true = self.begin
        self.store = FakeStore(lambda: self.true + self.off)
        self.publisher = FakePublisher(lambda: self.true)
        self.connections = FakeConnections(self.begin - 30 * timedelta(days=1), *self.zones)
        self.pace = FakePace()
        self.policy = Policy(defaults=self.rules)
        self.replicas = [self.replica(skew) for skew in self.skews]

    def replica(self, skew: timedelta = timedelta(0)) -> Tick:
        zones = FakeZones(zones={tenant: ZoneInfo(zone) for tenant, zone in self.zones.items()})
        claims = FakeClaims(self.store, lambda: skew)
        return Tick(self.connections, zones, self.pace, claims, self.publisher, self.policy)

    async def run(self, until: datetime, step: timedelta = STEP) -> None:
        while self.true < until:
            for replica in self.replicas:
                await replica()
            self.true += step

    def scans(self, tenant: str) -> dict[date, datetime]:
        """Local day → when its scan was asked for; no moment of any kind was asked for twice."""
        moments = Counter(self.publisher.moments())
        assert max(moments.values(), default=1) == 1, moments.most_common(3)
        found = {}
        for moment, at in zip(self.publisher.moments(), self.publisher.times, strict=True):
            of, kind, slot = moment.split(":", 2)
            if (of, kind) == (tenant, "receivables"):
                found[date.fromisoformat(slot)] = at
        return found

    def due(self, tenant: str, day: date) -> datetime | None:
        joined = Connection(tenant_id=tenant, tenant_name=tenant, connected_at=self.connections.tenants[tenant])
        return DailyScans(joined, ZoneInfo(self.zones[tenant]), self.rules).due_at(day)


@pytest.mark.timeout(900)
@settings(max_examples=rounds(1_000, 8), deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    scan_at=st.integers(0, 24 * 60 - 1).map(lambda minute: time(*divmod(minute, 60))),
    begin=st.integers(0, 10 * 365 * 24).map(lambda hours: datetime(2024, 1, 1, tzinfo=UTC) + hours * HOUR),
)
async def test_every_local_day_of_any_zone_is_scanned_once_and_on_time(
    zone: str, scan_at: time, begin: datetime
) -> None:
    world = World({"t": zone}, TenantPolicy(scan_at=scan_at), begin=begin)
    end = begin + timedelta(days=4)
    await world.run(end, step=20 * MINUTE)
    expected = {}
    for number in range(-1, 6):
        day = begin.date() + timedelta(days=number)
        due = world.due("t", day)
        if due is not None and begin < due < end - 20 * MINUTE:
            expected[day] = due
    found = world.scans("t")
    assert set(expected) <= set(found)
    for day, due in expected.items():
        assert timedelta(0) <= found[day] - due <= 20 * MINUTE


@pytest.mark.parametrize("begin", [datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 10, 23, tzinfo=UTC)])
@pytest.mark.parametrize("scan_at", [time(0, 30), time(1, 30), time(23, 30)])
async def test_two_replicas_with_clocks_an_hour_off_either_way_ask_once_while_the_clocks_change(
    begin: datetime, scan_at: time
) -> None:
    zones = {
        "london": "Europe/London",
        "havana": "America/Havana",
        "nuuk": "America/Nuuk",
        "sydney": "Australia/Sydney",
    }
    world = World(zones, TenantPolicy(scan_at=scan_at), (HOUR, -HOUR), begin)
    await world.run(begin + timedelta(days=4))
    for tenant in zones:
        found = world.scans(tenant)
        for number in range(1, 3):
            day = begin.date() + timedelta(days=number)
            due = world.due(tenant, day)
            assert (day in found) == (due is not None)
            # Never off by more than the clock that said so.
            assert due is None or -HOUR <= found[day] - due <= HOUR + STEP


@pytest.mark.parametrize("off_at", [-3 * HOUR, 2 * HOUR, 8 * HOUR])
@pytest.mark.parametrize("rule", CatchUp)
async def test_an_outage_of_36_hours_is_made_up_for_once_by_the_rule(rule: CatchUp, off_at: timedelta) -> None:
    rules = TenantPolicy(scan_at=time(9), scan_catch_up=rule)
    world = World({f"t{number}": "Asia/Kolkata" for number in range(2)}, rules)
    morning = datetime(2026, 6, 3, 3, 30, tzinfo=UTC)
    await world.run(morning + off_at)
    world.true += 36 * HOUR
    back = world.true
    world.replicas = [world.replica(), world.replica()]
    await world.run(morning + timedelta(days=3))
    local_back = back.astimezone(ZoneInfo("Asia/Kolkata"))
    for tenant in world.zones:
        made_up = [day for day, at in world.scans(tenant).items() if at == back]
        due = world.due(tenant, local_back.date())
        assert due is not None
        newest = local_back.date() if due <= back else local_back.date() - timedelta(days=1)
        was_missed = newest not in {day for day, at in world.scans(tenant).items() if at < back}
        wanted = rule is CatchUp.AT_ONCE or (rule is CatchUp.SAME_DAY and newest == local_back.date())
        assert made_up == ([newest] if wanted and was_missed else [])
        polls = [
            moment
            for moment, at in zip(world.publisher.moments(), world.publisher.times, strict=True)
            if at == back and moment.startswith(f"{tenant}:reconcile:")
        ]
        assert len(polls) == 1


async def test_a_clock_that_jumps_asks_for_nothing_twice_and_goes_on() -> None:
    world = World({"india": "Asia/Kolkata", "london": "Europe/London"})
    jumps = [HOUR, -HOUR, timedelta(0), 26 * HOUR, timedelta(0), -26 * HOUR, timedelta(0)]
    for number, off in enumerate(jumps):
        world.off = off
        await world.run(BEGIN + timedelta(days=1) + number * 7 * HOUR)
    await world.run(BEGIN + timedelta(days=6))
    for tenant in world.zones:
        days = world.scans(tenant)
        assert {BEGIN.date() + timedelta(days=number) for number in range(1, 6)} <= set(days)


@pytest.mark.timeout(900)
@settings(max_examples=rounds(500, 4), deadline=None)
@given(seed=st.integers(0, 2**32))
async def test_whatever_happens_nothing_is_asked_for_twice(seed: int) -> None:
    dice = random.Random(seed)
    zones = {f"t{number}": dice.choice(ZONES) for number in range(4)}
    rules = TenantPolicy(scan_at=time(dice.randrange(24), 30), scan_catch_up=dice.choice(list(CatchUp)))
    is_wiped = dice.random() < 0.5
    # What a wipe leaves is remembered by who saw it, and so by the one clock of all.
    skews = [timedelta(0)] if is_wiped else [-HOUR, timedelta(0), HOUR]
    world = World(zones, rules, tuple(dice.choice(skews) for _ in range(3)))
    for _ in range(12):
        match dice.randrange(6):
            case 0:
                world.true += dice.uniform(0, 48) * HOUR
            case 1:
                world.off = dice.uniform(-1, 1) * HOUR
            case 2:
                # One who remembers goes on; the others are new.
                world.replicas[1:] = [world.replica(dice.choice(skews)) for _ in range(2)]
            case 3 if is_wiped:
                world.store.wipe()
            case 4:
                world.pace.until = world.true + dice.uniform(0, 12) * HOUR
            case 5:
                world.connections.tenants.pop("t3", None)
        await world.run(world.true + dice.uniform(0, 8) * HOUR, step=10 * MINUTE)
        world.connections.tenants.setdefault("t3", world.true)
    assert max(Counter(world.publisher.moments()).values()) == 1
