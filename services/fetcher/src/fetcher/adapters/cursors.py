"""Remembers up to when each tenant's changes have been read."""

from datetime import datetime

from redis.asyncio import Redis

from fetcher.adapters.redis_faults import redis_answers


class RedisCursors:
    """A lost one costs a look back of a week; what changed before that is not reconciled."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, tenant_id: str) -> datetime | None:
        """Raises RetryableError."""
        with redis_answers():
            text = await self._redis.get(_key(tenant_id))
        return datetime.fromisoformat(str(text)) if text else None

    async def keep(self, tenant_id: str, since: datetime) -> None:
        """Raises RetryableError."""
        with redis_answers():
            await self._redis.set(_key(tenant_id), since.isoformat())


def _key(tenant_id: str) -> str:
    return f"duebell:fetcher:reconcile-cursor:{tenant_id}"
