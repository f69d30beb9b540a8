"""Until when tenants are reconciled more often, in Redis; a lost one is told again within a day."""

from datetime import datetime, timedelta

from redis.asyncio import Redis

_KEY = "duebell:scheduler:reconcile-quickened-until"
_KEPT = timedelta(days=2)


class RedisPace:
    """See :class:`scheduler.ports.Pace`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def quicken(self, until: datetime) -> None:
        standing = await self.quickened_until()
        if standing is None or standing < until:
            await self._redis.set(_KEY, until.isoformat(), ex=_KEPT)

    async def quickened_until(self) -> datetime | None:
        text = await self._redis.get(_KEY)
        return datetime.fromisoformat(str(text)) if text else None
