"""Xero's limits per tenant, counted in Redis so that they hold for any number of fetchers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from redis.asyncio import Redis

from fetcher.adapters.limiter_scripts import ACQUIRE, DAY_REMAINING, HOLD, RELEASE
from fetcher.adapters.redis_faults import redis_answers
from shared.errors import RetryableError

WINDOW_SECONDS = 60.0
MARGIN_SECONDS = 1.0
"""For a request that its sender has given up but the network has not."""
LEASE_SECONDS = 75.0
"""Longer than any call may take, so that only a lost holder's place is freed by time."""
LONGEST_WAIT_SECONDS = 70.0
"""A full window passes within this; whoever must wait longer comes back by the delay ladder."""
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True)
class Limits:
    per_minute: int
    concurrent: int
    per_day: int


class CallLimiter:
    """Grants permits: at most ``per_minute`` calls in any rolling window, ``concurrent`` in flight, ``per_day`` a day.

    A call counts from its grant until one window after its *end*. Xero sees it somewhere between the two, so whatever
    the network does in between, no window of Xero's holds more calls than the limit.
    """

    def __init__(
        self,
        redis: Redis,
        limits: Limits,
        *,
        waited: Callable[[float], None] = lambda _: None,
        window_seconds: float = WINDOW_SECONDS + MARGIN_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
        longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
    ) -> None:
        self._limits = limits
        self._waited = waited
        self._window_ms = round(window_seconds * 1000)
        self._lease_ms = round(lease_seconds * 1000)
        self._longest_wait_seconds = longest_wait_seconds
        self._acquire = redis.register_script(ACQUIRE)
        self._release = redis.register_script(RELEASE)
        self._hold = redis.register_script(HOLD)
        self._day_remaining = redis.register_script(DAY_REMAINING)

    @asynccontextmanager
    async def permit(self, tenant_id: str) -> AsyncIterator[None]:
        """The right to make one call now.

        A block that ends in a timeout or a cancellation does not free its place: Xero may still be at work on the
        call. The lease frees it.

        Raises:
            RetryableError: ``tenant_held``, ``minute_limit``, ``call_slots_taken`` or ``day_limit``, with the wait,
                when it is too long to stay; ``redis_unreachable``.
        """
        call_id = uuid4().hex
        await self._wait_for(tenant_id, call_id)
        try:
            yield
        except (TimeoutError, asyncio.CancelledError):
            raise
        except BaseException:
            await self._give_back(tenant_id, call_id)
            raise
        await self._give_back(tenant_id, call_id)

    async def hold(self, tenant_id: str, seconds: float, *, day_spent: bool = False) -> None:
        """Grant the tenant nothing for so long: Xero has said so. Raises RetryableError.

        With ``day_spent`` the day's count begins anew afterwards.
        """
        with redis_answers():
            await self._hold(keys=_keys(tenant_id), args=[max(1, round(seconds * 1000)), int(day_spent)])

    async def day_remaining(self, tenant_id: str, remaining: int) -> None:
        """What is left of the day by Xero's own count, which overrules ours when it leaves less, until it says more.

        Raises RetryableError.
        """
        with redis_answers():
            await self._day_remaining(keys=_keys(tenant_id), args=[remaining, self._limits.per_day])

    async def _wait_for(self, tenant_id: str, call_id: str) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            refusal, wait_ms = await self._try(tenant_id, call_id)
            if not refusal:
                self._waited(loop.time() - started)
                return
            wait = wait_ms / 1000
            if loop.time() - started + wait > self._longest_wait_seconds:
                raise RetryableError(refusal, retry_after=wait, counts=False)
            await asyncio.sleep(min(wait, _LONGEST_PAUSE_SECONDS))

    async def _try(self, tenant_id: str, call_id: str) -> tuple[str, int]:
        limits = self._limits
        with redis_answers():
            refusal, wait_ms = await self._acquire(
                keys=_keys(tenant_id),
                args=[
                    call_id,
                    self._window_ms,
                    limits.per_minute,
                    limits.concurrent,
                    limits.per_day,
                    self._lease_ms,
                ],
            )
        return str(refusal), int(wait_ms)

    async def _give_back(self, tenant_id: str, call_id: str) -> None:
        with redis_answers():
            await self._release(keys=_keys(tenant_id), args=[call_id, self._window_ms])


def _keys(tenant_id: str) -> list[str]:
    """In one hash slot, as a script demands."""
    return [f"duebell:fetcher:calls:{{{tenant_id}}}:{part}" for part in ("window", "flight", "day", "hold", "unseen")]
