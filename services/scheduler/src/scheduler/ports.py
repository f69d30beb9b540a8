"""What the scheduler needs from outside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from scheduler.due import Moment
from shared.contracts.tokens import ConnectionsList


class ConnectionSource(Protocol):
    async def connections(self) -> ConnectionsList:
        """The tenants that can be read now."""


class Claims(Protocol):
    """One tick per moment, however many replicas."""

    async def take(self, moment: Moment) -> bool:
        """True for the one replica that may act on this moment now."""

    async def done(self, moment: Moment) -> None:
        """The moment's request is confirmed: nobody need act on it again."""

    async def give_back(self, moment: Moment) -> None:
        """The request could not be published: let the next tick try."""


class TimeZones(Protocol):
    """The organisations' zones, as last read from Xero."""

    async def remember(self, tenant_id: str, time_zone: str) -> None: ...

    async def all(self) -> Mapping[str, ZoneInfo]: ...


class Pace(Protocol):
    """Until when tenants are reconciled more often."""

    async def quicken(self, until: datetime) -> None:
        """An earlier end than the one that stands changes nothing."""

    async def quickened_until(self) -> datetime | None: ...
