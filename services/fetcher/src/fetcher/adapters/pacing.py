"""Thins out a tenant's reconciles while its day runs short."""

from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from fetcher.adapters.permits import DayLeft
from fetcher.adapters.redis_faults import redis_answers
from fetcher.purposes import pause_between_sweeps
from shared.telemetry.logging import get_logger

_REMEMBERED_SECONDS = 86400
_log = get_logger(__name__)


class SweepPacing:
    """``day_left`` says how many calls a tenant has left; ``put_off`` counts what is left out."""

    def __init__(
        self, redis: Redis, day_left: Callable[[str], Awaitable[DayLeft]], per_day: int, put_off: Callable[[], None]
    ) -> None:
        self._redis = redis
        self._day_left = day_left
        self._per_day = per_day
        self._put_off = put_off

    async def may_reconcile(self, tenant_id: str) -> bool:
        """Whether one may begin now: those that ended stand apart as the day allows. Raises RetryableError."""
        left = await self._day_left(tenant_id)
        # Nobody has called for an hour: this one hears whether a new day has begun, or else nobody would.
        if left.is_old:
            return True
        pause = pause_between_sweeps(left.calls, self._per_day)
        if pause == 0:
            return True
        if pause is not None and not await self._ended_within(tenant_id, pause):
            return True
        await self.put_off(tenant_id)
        return False

    async def put_off(self, tenant_id: str) -> None:
        """One is left out. Raises RetryableError."""
        left = await self._day_left(tenant_id)
        self._put_off()
        _log.info("reconcile.put_off", tenant_id=tenant_id, day_left=left.calls, per_day=self._per_day)

    async def ended(self, tenant_id: str) -> None:
        """One was read to its end: one that breaks off is tried again at once. Raises RetryableError."""
        with redis_answers():
            await self._redis.set(_key(tenant_id), "1", ex=_REMEMBERED_SECONDS)

    async def _ended_within(self, tenant_id: str, seconds: float) -> bool:
        with redis_answers():
            rest = await self._redis.ttl(_key(tenant_id))
        return rest > _REMEMBERED_SECONDS - seconds


def _key(tenant_id: str) -> str:
    return f"duebell:fetcher:reconciled:{tenant_id}"
