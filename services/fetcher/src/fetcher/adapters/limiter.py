"""Xero's limits per tenant and for the app, counted in Redis so that they hold for any number of fetchers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self
from uuid import uuid4

from redis.asyncio import Redis

from fetcher.adapters.limiter_scripts import ACQUIRE, HOLD, LEARN, LEFT, PARTS, RELEASE, SHARED, SHARED_PREFIX
from fetcher.adapters.permits import DayLeft, Limit, Permit, Remaining
from fetcher.adapters.redis_faults import redis_answers
from fetcher.purposes import DAY_SPENT, Purpose, kept_from
from fetcher.settings import FetcherSettings
from shared.errors import RetryableError

WINDOW_SECONDS = 60.0
MARGIN_SECONDS = 1.0
"""For a request that its sender has given up but the network has not."""
LEASE_SECONDS = 75.0
"""Longer than any call may take, so that only a lost holder's place is freed by time."""
LONGEST_WAIT_SECONDS = 70.0
"""A full window passes within this; whoever must wait longer comes back by the delay ladder."""
_LONGEST_PAUSE_SECONDS = 5.0
_MOST_OWED = 1000
_EPOCH_SECONDS = 86400.0
"""Redis keeps an unused epoch for twice as long."""

_OF_ONE_TENANT = frozenset({"tenant_held", "tenant_parked"})
_RESUME = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
"""KEYS: the tenant's hold. ARGV: the limit that ends."""


@dataclass(frozen=True)
class Limits:
    per_minute: int
    concurrent: int
    per_day: int
    app_per_minute: int = 10_000

    @classmethod
    def of(cls, settings: FetcherSettings) -> Self:
        return cls(
            settings.xero_calls_per_minute,
            settings.xero_concurrent_calls,
            settings.xero_calls_per_day,
            settings.xero_app_calls_per_minute,
        )


class CallLimiter:
    """Grants permits: at most ``per_minute`` calls in any rolling window, ``concurrent`` in flight, ``per_day`` a day.

    A call counts from its grant until one window after its *end*. Xero sees it somewhere between the two, so whatever
    the network does in between, no window of Xero's holds more calls than the limit.

    Counts that Redis has lost are missed by whoever called before: then nobody calls for a window. A call that ends
    while Redis is away is given back before the next is asked for, so that it misses them, too.
    """

    def __init__(
        self,
        redis: Redis,
        limits: Limits,
        *,
        waited: Callable[[Purpose, float], None] = lambda _purpose, _seconds: None,
        refused: Callable[[Purpose, str], None] = lambda _purpose, _reason: None,
        held: Callable[[str, float], None] = lambda _tenant_id, _seconds: None,
        window_seconds: float = WINDOW_SECONDS + MARGIN_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
        longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
    ) -> None:
        self._limits = limits
        self._waited = waited
        self._refused = refused
        self._held = held
        self._window_ms = round(window_seconds * 1000)
        self._lease_ms = round(lease_seconds * 1000)
        self._longest_wait_seconds = longest_wait_seconds
        self._epoch, self._epoch_at = "", 0.0
        self._owed: dict[str, Permit] = {}
        self._owed_holds: dict[tuple[str, Limit], float] = {}
        self._paying = asyncio.Lock()
        self._acquire = redis.register_script(ACQUIRE)
        self._release = redis.register_script(RELEASE)
        self._hold = redis.register_script(HOLD)
        self._learn = redis.register_script(LEARN)
        self._left = redis.register_script(LEFT)
        self._resume = redis.register_script(_RESUME)

    @asynccontextmanager
    async def permit(self, tenant_id: str, purpose: Purpose = Purpose.LOOK) -> AsyncIterator[Permit]:
        """The right to make one call now.

        A block that ends in a timeout or a cancellation does not free its place: Xero may still be at work on the
        call. The lease frees it.

        Raises:
            RetryableError: ``day_limit``, ``day_reserve`` or ``tenant_parked`` at once; ``tenant_held``,
                ``minute_limit``, ``call_slots_taken``, ``app_limit``, ``app_held`` or ``counts_lost`` when the wait,
                which it tells, is too long to stay; ``redis_unreachable``.
        """
        permit = await self._wait_for(tenant_id, purpose)
        try:
            yield permit
        except (TimeoutError, asyncio.CancelledError):
            raise
        except BaseException:
            await self._give_back(permit)
            raise
        await self._give_back(permit)

    async def hold(self, tenant_id: str, seconds: float, limit: Limit = Limit.MINUTE) -> None:
        """Grant the tenant nothing for so long, or nobody where it is the app's limit: Xero has said so.

        After a DAY the day's count begins anew. While Redis is away it stands before the next call is granted.
        """
        until = asyncio.get_running_loop().time() + seconds
        try:
            await self._stand(tenant_id, until, limit)
        except RetryableError:
            if len(self._owed_holds) < _MOST_OWED:
                self._owed_holds[tenant_id, limit] = until

    async def resume(self, tenant_id: str) -> None:
        """End a hold that waits for a person's consent, and no other. Raises RetryableError."""
        with redis_answers():
            await self._resume(keys=[tenant_key(tenant_id, "hold")], args=[Limit.CONSENT])

    async def learn(self, permit: Permit, remaining: Remaining) -> None:
        """What is left by Xero's own count, told before the permit is given back. Raises RetryableError.

        Of the minutes it can only take; of the day it is believed, unless it leaves more than a whole day of ours.
        """
        limits = self._limits
        told = ["" if left is None else left for left in (remaining.minute, remaining.day, remaining.app)]
        with redis_answers():
            await self._learn(
                keys=_keys(permit.tenant_id),
                args=[
                    *(permit.call_id, "", self._window_ms, self._lease_ms),
                    *(limits.per_minute, limits.per_day, limits.app_per_minute),
                    *told,
                ],
            )

    async def day_left(self, tenant_id: str) -> DayLeft:
        """What is left of the tenant's day; nothing while it is parked. Raises RetryableError."""
        with redis_answers():
            left, is_old = await self._left(keys=_keys(tenant_id), args=["", "", 0, 0, self._limits.per_day])
        return DayLeft(max(0, int(left)), is_old=bool(is_old))

    async def _wait_for(self, tenant_id: str, purpose: Purpose) -> Permit:
        loop = asyncio.get_running_loop()
        started = loop.time()
        call_id = uuid4().hex
        while True:
            refusal, wait_ms = await self._try(tenant_id, call_id, purpose)
            if not refusal:
                now = loop.time()
                self._waited(purpose, now - started)
                return Permit(tenant_id, call_id, self._epoch, now)
            wait = wait_ms / 1000
            if refusal in DAY_SPENT or loop.time() - started + wait > self._longest_wait_seconds:
                self._refused(purpose, refusal)
                raise RetryableError(refusal, retry_after=wait, counts=False)
            await asyncio.sleep(min(wait, _LONGEST_PAUSE_SECONDS))

    async def _try(self, tenant_id: str, call_id: str, purpose: Purpose) -> tuple[str, int]:
        limits = self._limits
        if self._owed or self._owed_holds:
            await self._pay_back()
        with redis_answers():
            refusal, wait_ms, epoch = await self._acquire(
                keys=_keys(tenant_id),
                args=[
                    *(call_id, self._known_epoch(), self._window_ms, self._lease_ms),
                    *(limits.per_minute, limits.concurrent, limits.per_day),
                    *(kept_from(purpose, limits.per_day), limits.app_per_minute, purpose, tenant_id),
                ],
            )
        self._remember(epoch)
        if refusal in _OF_ONE_TENANT:
            self._held(tenant_id, int(wait_ms) / 1000)
        return str(refusal), int(wait_ms)

    async def _give_back(self, permit: Permit) -> None:
        """Now, or before the next call: what Xero has answered is not lost for that."""
        try:
            await self._return(permit)
        except RetryableError:
            if len(self._owed) < _MOST_OWED:
                self._owed[permit.call_id] = permit

    async def _pay_back(self) -> None:
        """Raises RetryableError: nothing is granted before what ended is counted and what Xero held is held."""
        async with self._paying:
            while self._owed_holds:
                (tenant_id, limit), until = next(iter(self._owed_holds.items()))
                await self._stand(tenant_id, until, limit)
                # One that was told meanwhile is owed still.
                if self._owed_holds[tenant_id, limit] == until:
                    del self._owed_holds[tenant_id, limit]
            while self._owed:
                call_id, permit = next(iter(self._owed.items()))
                elapsed = asyncio.get_running_loop().time() - permit.granted_at
                if elapsed * 1000 < self._window_ms + self._lease_ms:
                    await self._return(permit)
                del self._owed[call_id]

    async def _stand(self, tenant_id: str, until: float, limit: Limit) -> None:
        rest = until - asyncio.get_running_loop().time()
        with redis_answers():
            await self._hold(keys=_keys(tenant_id), args=["", "", 0, 0, max(1, round(rest * 1000)), limit])

    async def _return(self, permit: Permit) -> None:
        elapsed = asyncio.get_running_loop().time() - permit.granted_at
        with redis_answers():
            epoch = await self._release(
                keys=_keys(permit.tenant_id),
                args=[
                    *(permit.call_id, self._known_epoch(), self._window_ms, self._lease_ms),
                    *(permit.epoch, round(elapsed * 1000), permit.endpoint, permit.received_bytes),
                ],
            )
        self._remember(epoch)

    def _known_epoch(self) -> str:
        """Empty where Redis may have let an unused one go."""
        is_recent = asyncio.get_running_loop().time() - self._epoch_at < _EPOCH_SECONDS
        return self._epoch if is_recent else ""

    def _remember(self, epoch: str) -> None:
        self._epoch, self._epoch_at = str(epoch), asyncio.get_running_loop().time()


def tenant_key(tenant_id: str, part: str) -> str:
    return f"{SHARED_PREFIX}{{{tenant_id}}}:{part}"


def _keys(tenant_id: str) -> list[str]:
    return [*(tenant_key(tenant_id, part) for part in PARTS), *(f"{SHARED_PREFIX}{part}" for part in SHARED)]
