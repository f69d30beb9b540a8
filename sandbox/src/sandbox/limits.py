"""Xero's call limits: per tenant in flight, per rolling minute and per day, and one app-wide minute."""

import math
import zlib
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sandbox.settings import Settings

Problem = Literal["concurrent", "minute", "appminute", "day"]
MINUTE = timedelta(seconds=60)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call may enter; `headers` belong on its answer either way."""

    problem: Problem | None
    headers: dict[str, str]


@dataclass(slots=True)
class Usage:
    """One tenant's calls."""

    minute: deque[datetime] = field(default_factory=deque)
    in_flight: int = 0
    day: int = 0
    day_ends: datetime | None = None
    total: int = 0
    refused: int = 0
    peak_in_flight: int = 0


@dataclass(slots=True)
class Limiter:
    """Counts calls and refuses those above the limits; a refused call uses up nothing."""

    tenants: dict[str, Usage] = field(default_factory=dict)
    app: deque[datetime] = field(default_factory=deque)

    def enter(self, tenant: str, now: datetime, limits: Settings) -> Verdict:
        """Admit one call of `tenant` or say which limit refuses it; an admitted call must `leave`."""
        usage = self.tenants.setdefault(tenant, Usage())
        _forget(usage.minute, now)
        _forget(self.app, now)
        if usage.day_ends is None or now >= usage.day_ends:
            usage.day, usage.day_ends = 0, day_end(tenant, now)
        problem, wait = self._problem(usage, now, limits)
        if problem is None:
            usage.minute.append(now)
            self.app.append(now)
            usage.in_flight += 1
            usage.day += 1
            usage.total += 1
            usage.peak_in_flight = max(usage.peak_in_flight, usage.in_flight)
        else:
            usage.refused += 1
        headers = {
            "X-DayLimit-Remaining": str(max(0, limits.calls_per_day - usage.day)),
            "X-MinLimit-Remaining": str(max(0, limits.calls_per_minute - len(usage.minute))),
            "X-AppMinLimit-Remaining": str(max(0, limits.app_calls_per_minute - len(self.app))),
        }
        if problem is not None:
            headers["X-Rate-Limit-Problem"] = problem
        if wait is not None:
            headers["Retry-After"] = str(max(1, math.ceil(wait.total_seconds())))
        return Verdict(problem, headers)

    def leave(self, tenant: str) -> None:
        """One admitted call of `tenant` has been answered."""
        self.tenants[tenant].in_flight -= 1

    def enter_app(self, now: datetime, limits: Settings) -> Verdict:
        """Admit one call that belongs to no tenant (`/connections`): it counts against the app-wide minute alone."""
        _forget(self.app, now)
        if len(self.app) >= limits.app_calls_per_minute:
            wait = math.ceil((self.app[0] + MINUTE - now).total_seconds()) if self.app else 60
            return Verdict("appminute", {"X-Rate-Limit-Problem": "appminute", "Retry-After": str(max(1, wait))})
        self.app.append(now)
        return Verdict(None, {"X-AppMinLimit-Remaining": str(limits.app_calls_per_minute - len(self.app))})

    def _problem(self, usage: Usage, now: datetime, limits: Settings) -> tuple[Problem | None, timedelta | None]:
        if usage.in_flight >= limits.concurrent_calls:
            return "concurrent", None
        if usage.day >= limits.calls_per_day:
            return "day", (usage.day_ends or now) - now
        if len(usage.minute) >= limits.calls_per_minute:
            return "minute", (usage.minute[0] if usage.minute else now) + MINUTE - now
        if len(self.app) >= limits.app_calls_per_minute:
            return "appminute", (self.app[0] if self.app else now) + MINUTE - now
        return None, None


def day_end(tenant: str, now: datetime) -> datetime:
    """When the tenant's day window ends next; every tenant has its own hour."""
    hour = zlib.crc32(tenant.encode()) % 24
    today = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return today if today > now else today + DAY


def _forget(calls: deque[datetime], now: datetime) -> None:
    while calls and calls[0] <= now - MINUTE:
        calls.popleft()
