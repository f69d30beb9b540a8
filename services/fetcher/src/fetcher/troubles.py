"""What each tenant's calls suffer just now, as far as this process sees: how long to let it be, and who is slow."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SLOW_SECONDS = 5.0
"""A call that is unanswered for longer makes its tenant a slow one."""
LONGEST_SECONDS = 300.0
_FORGOTTEN_SECONDS = 3 * 3600.0
"""Longer than the longest pause between two tries."""
_JITTER = 0.25


@dataclass(frozen=True)
class Fault:
    """``seconds`` to let the tenant be; ``repeated``: nothing of the tenant's was answered since the fault before."""

    seconds: float
    repeated: bool


@dataclass
class _Faults:
    count: int
    at: float
    seconds: float


class Troubles:
    """``now`` in seconds of a clock that never goes back, ``chance`` between 0 and 1."""

    def __init__(self, now: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random) -> None:
        self._now = now
        self._chance = chance
        self._faults: dict[str, _Faults] = {}
        self._held: dict[str, float] = {}
        self._calls: dict[str, list[float]] = {}

    @contextmanager
    def calling(self, tenant_id: str) -> Iterator[float]:
        """Around one call; when it began."""
        began = self._now()
        calls = self._calls.setdefault(tenant_id, [])
        calls.append(began)
        try:
            yield began
        finally:
            calls.remove(began)
            if not calls:
                self._calls.pop(tenant_id, None)

    def answered(self, tenant_id: str) -> None:
        """Xero is there for the tenant."""
        self._faults.pop(tenant_id, None)

    def fault(self, tenant_id: str, began: float, first_seconds: float) -> Fault:
        """A call that ``began`` then has failed. From one to the next the pause doubles, up to five minutes.

        Calls that were under way together fail together, and count as one.
        """
        now = self._now()
        faults = self._faults.get(tenant_id)
        if faults is not None and began < faults.at:
            return Fault(faults.seconds, repeated=faults.count > 1)
        self._faults = {key: kept for key, kept in self._faults.items() if kept.at > now - _FORGOTTEN_SECONDS}
        count = self._faults[tenant_id].count + 1 if tenant_id in self._faults else 1
        pause = min(first_seconds * 2 ** min(count - 1, 20), LONGEST_SECONDS / (1 + _JITTER))
        seconds = pause * (1 + _JITTER * self._chance())
        self._faults[tenant_id] = _Faults(count, now, seconds)
        return Fault(seconds, repeated=count > 1)

    def held(self, tenant_id: str, seconds: float) -> None:
        """The tenant may not be called for so long."""
        now = self._now()
        self._held = {key: until for key, until in self._held.items() if until > now}
        self._held[tenant_id] = now + seconds

    def rest(self, tenant_id: str) -> float | None:
        """For how long, at least, the tenant's work will stand; None where nothing is known to stop it."""
        now = self._now()
        until = self._held.get(tenant_id, now)
        if until > now:
            return until - now
        calls = self._calls.get(tenant_id)
        return 0.0 if calls and min(calls) < now - SLOW_SECONDS else None
