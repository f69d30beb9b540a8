"""The organisations' zones in Redis, learnt again from the fetcher when they are lost."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from redis.asyncio import Redis

_KEY = "duebell:scheduler:time-zones"


class RedisTimeZones:
    """See :class:`scheduler.ports.TimeZones`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def remember(self, tenant_id: str, time_zone: str) -> None:
        await self._redis.hset(_KEY, tenant_id, time_zone)

    async def all(self) -> Mapping[str, ZoneInfo]:
        stored = await self._redis.hgetall(_KEY)
        return {str(tenant): zone for tenant, name in stored.items() if (zone := _zone(str(name))) is not None}


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None
