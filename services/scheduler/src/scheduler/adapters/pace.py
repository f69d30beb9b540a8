"""Until when tenants are reconciled more often, in Redis; a lost one is told again within a day."""

from datetime import datetime, timedelta

from redis.asyncio import Redis

_KEY = "duebell:scheduler:reconcile-quickened-until"
_KEPT = timedelta(days=2)


class RedisPace:
    """See :class:`scheduler.ports.Pace`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._known: datetime | None = None

    async def quicken(self, until: datetime) -> None:
        standing = await self.quickened_until()
        if standing is None or standing < until:
            await self._redis.set(_KEY, until.isoformat(), ex=_KEPT)
            self._known = until

    async def quickened_until(self) -> datetime | None:
        text = await self._redis.get(_KEY)
        ends = [end for end in (self._known, datetime.fromisoformat(str(text)) if text else None) if end is not None]
        # What a wiped Redis has forgotten, this replica may still know.
        self._known = max(ends, default=None)
        return self._known
