"""Moments claimed in Redis. If Redis is wiped a moment may be asked for again, which its consumers bear."""

from redis.asyncio import Redis

from scheduler.due import Moment

CLAIM_SECONDS = 60
"""A replica that dies between its claim and the publish holds the moment up for this long."""


class RedisClaims:
    """See :class:`scheduler.ports.Claims`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def take(self, moment: Moment) -> bool:
        return bool(await self._redis.set(_key(moment), "claimed", nx=True, ex=CLAIM_SECONDS))

    async def done(self, moment: Moment) -> None:
        await self._redis.set(_key(moment), "done", ex=int(moment.lasts.total_seconds()))

    async def give_back(self, moment: Moment) -> None:
        await self._redis.delete(_key(moment))


def _key(moment: Moment) -> str:
    return f"duebell:scheduler:moment:{moment.tenant_id}:{moment.kind}:{moment.slot}"
