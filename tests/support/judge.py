"""A provider that counts as strictly as Xero does, with a window short enough for a test."""

import asyncio
from collections import Counter

from fetcher.adapters.limiter import CallLimiter
from fetcher.adapters.permits import Limit, Remaining
from fetcher.purposes import Purpose


class Judge:
    """Admits calls within the limits and counts every one beyond them; a refused call uses up nothing."""

    def __init__(self, *, per_window: int = 60, concurrent: int = 5, window: float = 1.0) -> None:
        self.per_window = per_window
        self.concurrent = concurrent
        self.window = window
        self.arrivals: list[float] = []
        self.in_flight = 0
        self.breaches: Counter[str] = Counter()

    def counted(self) -> int:
        """Calls in the window that ends now."""
        now = asyncio.get_running_loop().time()
        return sum(arrival > now - self.window for arrival in self.arrivals)

    def foreign(self, calls: int) -> None:
        """Calls that another program makes now."""
        self.arrivals += [asyncio.get_running_loop().time()] * calls

    def most_in_any_window(self) -> int:
        return max(sum(start <= other < start + self.window for other in self.arrivals) for start in self.arrivals)

    async def call(self, seconds: float = 0.01) -> tuple[str, Remaining]:
        """Which limit refuses the call, empty for none, and what is left."""
        refused = ""
        if self.in_flight >= self.concurrent:
            refused = "concurrent"
        elif self.counted() >= self.per_window:
            refused = "minute"
        if refused:
            self.breaches[refused] += 1
            return refused, Remaining(minute=max(0, self.per_window - self.counted()))
        self.arrivals.append(asyncio.get_running_loop().time())
        left = Remaining(minute=self.per_window - self.counted())
        self.in_flight += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.in_flight -= 1
        return "", left


async def call_through(limits: CallLimiter, tenant_id: str, judge: Judge, seconds: float = 0.01) -> str:
    """One call as the fetcher makes it; answers which limit refused it, empty for none."""
    async with limits.permit(tenant_id, Purpose.EVENT) as permit:
        refused, remaining = await judge.call(seconds)
        if refused:
            await limits.hold(tenant_id, judge.window, Limit.named(refused))
        await limits.learn(permit, remaining)
    return refused
