"""Removes what is over and was kept as long as the policy says, a few rows at a time."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from shared.policy import Policy, TenantPolicy
from shared.runtime.service import Stop

EVERY = timedelta(minutes=15)
BATCH = 200
MOST_BATCHES = 50
"""Of each kind in one round, so that a round ends; the next one goes on."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Before when what is over is removed, of some organisations: ``only`` these, or all ``but`` these."""

    snapshots: datetime
    attempts: datetime
    decisions: datetime
    plans: datetime
    only: str | None = None
    but: Collection[str] = ()


class Removes(Protocol):
    """``kinds`` are what can be removed, in the order in which it must be."""

    kinds: Collection[str]

    async def remove(self, kind: str, limits: Limits, now: datetime, most: int) -> int:
        """Remove so many rows that are over, in one transaction; how many. Any number of replicas may do so at once."""


def limits(policy: Policy, now: datetime) -> Iterator[Limits]:
    """One for the defaults, and one for each organisation with rules of its own."""
    yield _limits(policy.defaults, now, but=tuple(policy.tenants))
    for tenant_id, rules in policy.tenants.items():
        yield _limits(rules, now, only=tenant_id)


def _limits(rules: TenantPolicy, now: datetime, *, only: str | None = None, but: Collection[str] = ()) -> Limits:
    kept = rules.retention
    # Whether an invoice is new news is known by its decision for as long as it may be told.
    decisions = max(kept.decisions_days, rules.alerts.max_age_days + 1)
    return Limits(
        now - timedelta(days=kept.settled_snapshots_days),
        now - timedelta(days=kept.attempts_days),
        now - timedelta(days=decisions),
        now - timedelta(days=kept.plans_days),
        only,
        but,
    )


class KeepNoLonger:
    """A loop that any number of replicas may run."""

    def __init__(
        self,
        ledger: Removes,
        policy: Policy,
        *,
        clock: Callable[[], datetime],
        removed: Callable[[str, int], None],
    ) -> None:
        self._ledger = ledger
        self._policy = policy
        self._clock = clock
        self._removed = removed

    async def run(self, stop: Stop) -> None:
        while not stop.is_set():
            await self.round(stop)
            await stop.wait(EVERY.total_seconds())

    async def round(self, stop: Stop | None = None) -> int:
        """How many rows were removed."""
        now, whole = self._clock(), 0
        for some in limits(self._policy, now):
            for kind in self._ledger.kinds:
                for _ in range(MOST_BATCHES):
                    rows = 0 if stop and stop.is_set() else await self._ledger.remove(kind, some, now, BATCH)
                    if rows:
                        self._removed(kind, rows)
                    whole += rows
                    if rows < BATCH:
                        break
        return whole
