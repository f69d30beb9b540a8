"""The right to make one call, and what Xero's answer says of the limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Limit(StrEnum):
    """Why nothing is granted: which of Xero's limits was hit, or that it is out of order, or that a person must act."""

    MINUTE = "minute"
    DAY = "day"
    CONCURRENT = "concurrent"
    APP = "app"
    OUTAGE = "outage"
    CONSENT = "consent"

    @classmethod
    def named(cls, problem: str) -> Self:
        """By ``X-Rate-Limit-Problem``; a name that we do not know is a minute's."""
        return cls(_NAMES.get(problem.strip().lower(), cls.MINUTE))


_NAMES = {
    "day": Limit.DAY,
    "daily": Limit.DAY,
    "concurrent": Limit.CONCURRENT,
    "appminute": Limit.APP,
}


@dataclass
class Permit:
    """One granted call. ``endpoint`` and ``received_bytes`` are filled in by whoever makes it."""

    tenant_id: str
    call_id: str
    epoch: str
    granted_at: float
    endpoint: str = ""
    received_bytes: int = 0


@dataclass(frozen=True)
class Remaining:
    """Calls that Xero leaves of the tenant's minute and day and of the app's minute; None where it does not say."""

    minute: int | None = None
    day: int | None = None
    app: int | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self:
        return cls(
            _number(headers.get("X-MinLimit-Remaining", "")),
            _number(headers.get("X-DayLimit-Remaining", "")),
            _number(headers.get("X-AppMinLimit-Remaining", "")),
        )


@dataclass(frozen=True)
class DayLeft:
    """A tenant's calls that are left of its day. Where that ``is_old``, the next call is granted to hear it anew."""

    calls: int
    is_old: bool = False


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None
