"""Remembers which moments' scans have ended."""

from redis.asyncio import Redis

from fetcher.adapters.redis_faults import redis_answers

_KEPT_SECONDS = 36 * 3600
"""A request waits no longer than the day of calls that it waits for, and a few hours on the ladder."""


class RedisServedScans:
    """A lost one costs the calls of a second scan, if there is a second request."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def knows(self, moment: str) -> bool:
        """Raises RetryableError."""
        with redis_answers():
            return bool(await self._redis.exists(_key(moment)))

    async def keep(self, moment: str) -> None:
        """Raises RetryableError."""
        with redis_answers():
            await self._redis.set(_key(moment), "served", ex=_KEPT_SECONDS)


def _key(moment: str) -> str:
    return f"duebell:fetcher:served-scan:{moment}"
