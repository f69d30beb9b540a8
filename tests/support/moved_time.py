"""A Redis whose time the test moves: what scripts read as the time, and how long keys have left to live."""

from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from shared.runtime.redis import create_redis

ASKS_REDIS = "redis.call('TIME')"
_CLOCK = "test:clock"
_ASKS_THE_TEST = f"redis.call('HMGET', '{_CLOCK}', 'seconds', 'microseconds')"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND, _MILLISECOND, _MICROSECOND = timedelta(seconds=1), timedelta(milliseconds=1), timedelta(microseconds=1)

_MOVE = """
for _, key in ipairs(redis.call('KEYS', ARGV[4])) do
  local rest = redis.call('PTTL', key)
  if rest >= 0 then redis.call('PEXPIRE', key, rest - tonumber(ARGV[1])) end
end
redis.call('HSET', KEYS[1], 'seconds', ARGV[2], 'microseconds', ARGV[3])
"""
"""KEYS: the clock. ARGV: by how many milliseconds time moves, the new time's seconds and microseconds, what ages."""


class MovedRedis(Redis):
    """Its scripts take their time from the test; ``moved`` are those that ask for it, as production wrote them."""

    moved: list[str]

    def register_script(self, script: str) -> AsyncScript:  # type: ignore[override]  # as production calls it
        if ASKS_REDIS in script:
            self.moved.append(script)
        return AsyncScript(self, script.replace(ASKS_REDIS, _ASKS_THE_TEST))


class MovedTime:
    """The one clock of a test. Keys also age with real time, by seconds: assertions should be of minutes.

    ``ages`` is the pattern of the keys that age with it: those of who asks this clock only.
    """

    def __init__(self, redis_url: str, now: datetime, ages: str = "*") -> None:
        redis = MovedRedis.from_pool(create_redis(redis_url).connection_pool)
        assert isinstance(redis, MovedRedis)
        redis.moved = []
        self.redis = redis
        self.now = now
        self._ages = ages
        self._move = self.redis.register_script(_MOVE)

    def __call__(self) -> datetime:
        return self.now

    async def move_to(self, moment: datetime) -> None:
        """Time passes; it never goes back."""
        passed = max(moment - self.now, timedelta())
        self.now += passed
        seconds, rest = divmod(self.now - _EPOCH, _SECOND)
        await self._move(keys=[_CLOCK], args=[passed // _MILLISECOND, seconds, rest // _MICROSECOND, self._ages])

    async def flush(self) -> None:
        """Redis forgets everything but the time."""
        await self.redis.flushdb()
        await self.move_to(self.now)
