"""Moments claimed in Redis, and Redis's clock as the one by which all replicas judge."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from redis.asyncio import Redis

from scheduler.due import Moment
from scheduler.ports import Sight, Taken

CLAIM_SECONDS = 60
"""A replica that dies between its claim and the publish holds the moment up for this long."""
SETTLE_SECONDS = 30
"""Longer than a publish that fails and the tick after it: so long may a replica take to notice lost claims."""
_EPOCH = "duebell:scheduler:epoch"
_SETTLING = "duebell:scheduler:settling"
_DONE = "done"
_AT_ONCE = 500

_LOOK = """
local epoch = redis.call('get', KEYS[1])
if not epoch then
  epoch = ARGV[1]
  redis.call('set', KEYS[1], epoch)
  if tonumber(ARGV[2]) > 0 then redis.call('set', KEYS[2], '1', 'px', ARGV[2]) end
end
local time = redis.call('TIME')
return {epoch, redis.call('exists', KEYS[2]), time[1], time[2]}
"""
_TAKE = """
if redis.call('get', KEYS[2]) ~= ARGV[1] or redis.call('exists', KEYS[3]) == 1 then return 'UNSETTLED' end
if redis.call('set', KEYS[1], ARGV[2], 'NX', 'EX', ARGV[3]) then return 'YES' end
if redis.call('get', KEYS[1]) == ARGV[4] then return 'DONE' end
return 'HELD'
"""
_GIVE_BACK = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0
"""


class RedisClaims:
    """See :class:`scheduler.ports.Claims`."""

    def __init__(self, redis: Redis, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._redis = redis
        self._settle_ms = int(settle_seconds * 1000)
        self._owner = uuid4().hex
        self._look = redis.register_script(_LOOK)
        self._take = redis.register_script(_TAKE)
        self._give_back = redis.register_script(_GIVE_BACK)

    async def look(self) -> Sight:
        epoch, settling, seconds, micros = await self._look(
            keys=[_EPOCH, _SETTLING], args=[uuid4().hex, self._settle_ms]
        )
        return Sight(_time(int(seconds), int(micros)), str(epoch), settled=not settling)

    async def take(self, moment: Moment, epoch: str) -> Taken:
        said = await self._take(keys=[_key(moment), _EPOCH, _SETTLING], args=[epoch, self._owner, CLAIM_SECONDS, _DONE])
        return Taken[str(said)]

    async def done(self, moments: Collection[Moment]) -> None:
        for some in _parts(list(moments)):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for moment in some:
                    pipeline.set(_key(moment), _DONE, ex=int(moment.lasts.total_seconds()))
                await pipeline.execute()

    async def give_back(self, moment: Moment) -> None:
        await self._give_back(keys=[_key(moment)], args=[self._owner])

    async def are_done(self, moments: Collection[Moment]) -> set[Moment]:
        """Those of them that were asked for."""
        found: set[Moment] = set()
        for some in _parts(list(moments)):
            texts = await self._redis.mget([_key(moment) for moment in some])
            found.update(moment for moment, text in zip(some, texts, strict=True) if text == _DONE)
        return found

    async def now(self) -> datetime:
        """Redis's time, by which all is judged."""
        seconds, micros = await self._redis.time()
        return _time(int(seconds), int(micros))


def _time(seconds: int, micros: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros)


def _parts(moments: list[Moment]) -> Iterable[list[Moment]]:
    return (moments[begin : begin + _AT_ONCE] for begin in range(0, len(moments), _AT_ONCE))


def _key(moment: Moment) -> str:
    return f"duebell:scheduler:moment:{moment.id}"
