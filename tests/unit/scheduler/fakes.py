"""What lies around the scheduler's tick, in memory."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from scheduler.due import Moment
from scheduler.ports import Sight, Taken
from shared.contracts import Event, ScanRequestedV1
from shared.contracts.tokens import Connection, ConnectionsList
from shared.errors import PublishFailed

SETTLES = timedelta(seconds=30)
CLAIMED = timedelta(seconds=60)


class FakeConnections:
    """These tenants, all connected at the same time; others may join and leave."""

    def __init__(self, connected_at: datetime, *tenants: str) -> None:
        self.tenants: dict[str, datetime] = dict.fromkeys(tenants, connected_at)

    async def connections(self) -> ConnectionsList:
        return ConnectionsList(
            connections=tuple(
                Connection(tenant_id=tenant, tenant_name=tenant, connected_at=connected_at)
                for tenant, connected_at in self.tenants.items()
            )
        )


class FakeZones:
    """All in India, unless told otherwise."""

    def __init__(self, *tenants: str, zones: Mapping[str, ZoneInfo] | None = None) -> None:
        self.zones = dict(zones) if zones is not None else dict.fromkeys(tenants, ZoneInfo("Asia/Kolkata"))

    async def remember(self, tenant_id: str, time_zone: str) -> None:
        self.zones[tenant_id] = ZoneInfo(time_zone)

    async def all(self) -> Mapping[str, ZoneInfo]:
        return self.zones

    async def put_back(self) -> None:
        return None


class FakePace:
    def __init__(self, until: datetime | None = None) -> None:
        self.until = until

    async def quicken(self, until: datetime) -> None:
        self.until = until

    async def quickened_until(self) -> datetime | None:
        return self.until


@dataclass
class FakeStore:
    """What all replicas share: a clock, and entries that end. ``wipe`` loses everything, as it may."""

    clock: Callable[[], datetime]
    entries: dict[Moment, tuple[str, datetime]] = field(default_factory=dict)
    epochs: "count[int]" = field(default_factory=count)
    epoch: str | None = "first"
    settles_at: datetime | None = None

    def wipe(self) -> None:
        self.entries.clear()
        self.epoch = self.settles_at = None

    def settled(self) -> bool:
        return self.settles_at is None or self.clock() >= self.settles_at

    def entry(self, moment: Moment) -> str | None:
        value, ends = self.entries.get(moment, ("", self.clock()))
        return value if self.clock() < ends else None


class FakeClaims:
    """One replica's view of the store; ``skew`` is how wrong the time is that it is told."""

    def __init__(self, store: FakeStore, skew: Callable[[], timedelta] = timedelta) -> None:
        self._store = store
        self._skew = skew
        self._owner = f"replica {next(store.epochs)}"
        self.failing = False

    async def look(self) -> Sight:
        if self._store.epoch is None:
            self._store.epoch = f"epoch {next(self._store.epochs)}"
            self._store.settles_at = self._store.clock() + SETTLES
        return Sight(self._store.clock() + self._skew(), self._store.epoch, self._store.settled())

    async def take(self, moment: Moment, epoch: str) -> Taken:
        if self._store.epoch != epoch or not self._store.settled():
            return Taken.UNSETTLED
        match self._store.entry(moment):
            case None:
                self._store.entries[moment] = (self._owner, self._store.clock() + CLAIMED)
                return Taken.YES
            case "done":
                return Taken.DONE
        return Taken.HELD

    async def done(self, moments: Collection[Moment]) -> None:
        if self.failing and moments:
            raise ConnectionError
        for moment in moments:
            self._store.entries[moment] = ("done", self._store.clock() + moment.lasts)

    async def give_back(self, moment: Moment) -> None:
        if self._store.entry(moment) == self._owner:
            del self._store.entries[moment]


class FakePublisher:
    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        self.published: list[Event] = []
        self.times: list[datetime] = []
        self.failing = False
        self._clock = clock

    async def publish(self, event: Event, *, deadline: float | None = None) -> None:
        if self.failing:
            raise PublishFailed("publish_unconfirmed")
        self.published.append(event)
        if self._clock is not None:
            self.times.append(self._clock())

    def moments(self) -> list[str]:
        """The idempotency keys of all requests, in order."""
        return [event.moment or "by hand" for event in self.published if isinstance(event, ScanRequestedV1)]
