"""One replica at a time per grant, by a Redis lock with a random owner; without Redis, everybody may try."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

_KEY = "duebell:token-broker:refresh:{grant_id}"
_ANSWER_SECONDS = 1.0
_UNREACHABLE = (RedisError, OSError, TimeoutError)


class RedisRefreshLock:
    """redis-py's lock: ``SET NX PX`` with a random value, released and renewed by scripts that compare it first."""

    def __init__(self, redis: Redis, life_seconds: float) -> None:
        self._redis = redis
        self._life_seconds = life_seconds

    @asynccontextmanager
    async def hold(self, grant_id: str) -> AsyncIterator[bool]:
        lock = self._redis.lock(
            _KEY.format(grant_id=grant_id), timeout=self._life_seconds, blocking=False, thread_local=False
        )
        acquired = await self._acquire(lock)
        if not acquired:
            # None: Redis did not say, and the claim in the record decides alone.
            yield acquired is None
            return
        ended = asyncio.Event()
        renewal = asyncio.create_task(self._renew(lock, ended))
        try:
            yield True
        finally:
            ended.set()
            await renewal
            with suppress(LockError, *_UNREACHABLE):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await lock.release()

    async def _acquire(self, lock: Lock) -> bool | None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return bool(await lock.acquire())
        except _UNREACHABLE:
            return None

    async def _renew(self, lock: Lock, ended: asyncio.Event) -> None:
        """A renewal that fails ends the renewing alone: the work it covers is guarded elsewhere."""
        while not await _set_within(ended, self._life_seconds / 3):
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await lock.reacquire()
            except _UNREACHABLE:
                return


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
