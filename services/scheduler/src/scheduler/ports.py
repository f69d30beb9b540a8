"""What the scheduler needs from outside."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Protocol
from zoneinfo import ZoneInfo

from scheduler.due import Moment
from shared.contracts.tokens import ConnectionsList


class ConnectionSource(Protocol):
    async def connections(self) -> ConnectionsList:
        """The tenants that can be read now."""


@dataclass(frozen=True)
class Sight:
    """``now`` is the one time by which every replica judges.

    ``epoch`` names the claims' life: another one means that all were lost in between. They are not ``settled`` for a
    while after that, so that every replica can put back what it remembers before any is taken.
    """

    now: datetime
    epoch: str
    settled: bool


class Taken(Enum):
    YES = auto()
    HELD = auto()
    """Another replica is at it."""
    DONE = auto()
    UNSETTLED = auto()
    """The claims were lost since the look that the caller goes by."""


class Claims(Protocol):
    """One request per moment, however many replicas."""

    async def look(self) -> Sight: ...

    async def take(self, moment: Moment, epoch: str) -> Taken:
        """YES for the one replica that may act on this moment now."""

    async def done(self, moments: Collection[Moment]) -> None:
        """The requests are confirmed: nobody need act on these moments again."""

    async def give_back(self, moment: Moment) -> None:
        """The request could not be published: let the next tick try."""


class TimeZones(Protocol):
    """The organisations' zones, as last read from Xero."""

    async def remember(self, tenant_id: str, time_zone: str) -> None: ...

    async def all(self) -> Mapping[str, ZoneInfo]: ...

    async def put_back(self) -> None:
        """Store again what this replica remembers and the store has lost."""


class Pace(Protocol):
    """Until when tenants are reconciled more often."""

    async def quicken(self, until: datetime) -> None:
        """An earlier end than the one that stands changes nothing."""

    async def quickened_until(self) -> datetime | None: ...
