"""One replica at a time per grant, by a Redis lock with a random owner; without Redis, everybody may try."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

_KEY = "duebell:token-broker:refresh:{grant_id}"
_ANSWER_SECONDS = 1.0
_UNREACHABLE = (RedisError, OSError, TimeoutError)


class RedisRefreshLock:
    """redis-py's lock: ``SET NX PX`` with a random value, released and renewed by scripts that compare it first.

    It is renewed for ``longest_seconds`` at most: whoever hangs for longer keeps nobody away.
    """

    def __init__(self, redis: Redis, life_seconds: float, longest_seconds: float) -> None:
        self._redis = redis
        self._life_seconds = life_seconds
        self._longest_seconds = longest_seconds

    @asynccontextmanager
    async def hold(self, grant_id: str) -> AsyncIterator[bool]:
        lock = self._redis.lock(
            _KEY.format(grant_id=grant_id), timeout=self._life_seconds, blocking=False, thread_local=False
        )
        owner = uuid4().hex
        acquired = await self._acquire(lock, owner)
        if acquired is False:
            yield False
            return
        ended = asyncio.Event()
        renewal = asyncio.create_task(self._renew(lock, ended)) if acquired else None
        try:
            # None: Redis did not say, and the claim in the record decides alone.
            yield True
        finally:
            ended.set()
            if renewal is not None:
                await renewal
            # Also what Redis did not confirm may stand there, and would keep others away for its whole life.
            with suppress(LockError, *_UNREACHABLE):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await lock.do_release(owner.encode())

    async def _acquire(self, lock: Lock, owner: str) -> bool | None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return bool(await lock.acquire(token=owner))
        except _UNREACHABLE:
            return None

    async def _renew(self, lock: Lock, ended: asyncio.Event) -> None:
        """A renewal that fails ends the renewing alone: the work it covers is guarded elsewhere."""
        every = self._life_seconds / 3
        for _ in range(int(self._longest_seconds / every)):
            if await _set_within(ended, every):
                return
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
