"""Keeps the plan of every organisation's day as the day begins, and compares it when the day is over."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from notifier.day_plan import DayPlan, day_plan
from notifier.forecast_book import Facts
from notifier.reconciliation import Comparison, Happened, compare
from shared.policy import Policy
from shared.runtime.service import Stop

EVERY_SECONDS = 300.0


class DayPlans(Protocol):
    async def organisations(self) -> Sequence[str]: ...
    async def facts(self, tenant_id: str, now: datetime) -> Facts | None: ...
    async def newest(self, tenant_id: str) -> datetime | None:
        """When the newest day that is planned ends."""

    async def keep(self, tenant_id: str, plan: DayPlan) -> None:
        """The first plan of a day counts."""

    async def over(self, tenant_id: str, now: datetime) -> Sequence[DayPlan]:
        """Days that have ended and were not compared yet."""

    async def happened(self, tenant_id: str, plan: DayPlan) -> Happened: ...
    async def keep_comparison(self, tenant_id: str, comparison: Comparison, now: datetime) -> None: ...


class WatchPlans:
    """Any number of replicas: what one has kept, another leaves."""

    def __init__(
        self, plans: DayPlans, policy: Policy, *, clock: Callable[[], datetime], compared: Callable[[Comparison], None]
    ) -> None:
        self._plans = plans
        self._policy = policy
        self._clock = clock
        self._compared = compared
        self._until: dict[str, datetime] = {}

    async def run(self, stop: Stop) -> None:
        while not stop.is_set():
            for tenant_id in await self._plans.organisations():
                if not stop.is_set():
                    await self.see(tenant_id)
            await stop.wait(EVERY_SECONDS)

    async def see(self, tenant_id: str) -> None:
        now = self._clock()
        if tenant_id in self._until and now < self._until[tenant_id]:
            return
        for past in await self._plans.over(tenant_id, now):
            comparison = compare(past, await self._plans.happened(tenant_id, past))
            await self._plans.keep_comparison(tenant_id, comparison, now)
            self._compared(comparison)
        ends_at = await self._plans.newest(tenant_id)
        if ends_at is None or ends_at <= now:
            known = await self._plans.facts(tenant_id, now)
            # A large book takes a while: messages go on leaving meanwhile.
            plan = await asyncio.to_thread(day_plan, known, self._policy.for_tenant(tenant_id), now) if known else None
            if plan is None:
                return
            await self._plans.keep(tenant_id, plan)
            ends_at = plan.ends_at
        self._until[tenant_id] = ends_at
