"""The organisations' zones in Redis; each replica remembers them, and puts them back when they are lost."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from redis.asyncio import Redis

_KEY = "duebell:scheduler:time-zones"


class RedisTimeZones:
    """See :class:`scheduler.ports.TimeZones`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._known: dict[str, str] = {}

    async def remember(self, tenant_id: str, time_zone: str) -> None:
        await self._redis.hset(_KEY, tenant_id, time_zone)
        self._known[tenant_id] = time_zone

    async def all(self) -> Mapping[str, ZoneInfo]:
        stored = await self._redis.hgetall(_KEY)
        self._known |= {str(tenant): str(name) for tenant, name in stored.items()}
        return {tenant: zone for tenant, name in self._known.items() if (zone := _zone(name)) is not None}

    async def put_back(self) -> None:
        for tenant, name in self._known.items():
            # Another replica may have heard of a newer one since.
            await self._redis.hsetnx(_KEY, tenant, name)


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None
