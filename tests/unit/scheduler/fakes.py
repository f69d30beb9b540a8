"""What lies around the scheduler's tick, in memory."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from scheduler.due import Moment
from shared.contracts import Event
from shared.contracts.tokens import Connection, ConnectionsList
from shared.errors import PublishFailed


class FakeConnections:
    """These tenants, all connected at the same time."""

    def __init__(self, connected_at: datetime, *tenants: str) -> None:
        self._list = tuple(
            Connection(tenant_id=tenant, tenant_name=tenant, connected_at=connected_at) for tenant in tenants
        )

    async def connections(self) -> ConnectionsList:
        return ConnectionsList(connections=self._list)


class FakeZones:
    """All in India."""

    def __init__(self, *tenants: str) -> None:
        self._tenants = tenants

    async def remember(self, tenant_id: str, time_zone: str) -> None:
        raise NotImplementedError

    async def all(self) -> Mapping[str, ZoneInfo]:
        return dict.fromkeys(self._tenants, ZoneInfo("Asia/Kolkata"))


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
