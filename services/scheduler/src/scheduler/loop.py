"""Ticks until the service stops; a tick that fails is only late."""

from redis.exceptions import RedisError

from scheduler.tick import Tick
from shared.errors import RetryableError
from shared.runtime.service import Stop
from shared.telemetry.logging import get_logger

TICK_SECONDS = 5.0
_log = get_logger(__name__)


class TickLoop:
    def __init__(self, tick: Tick, seconds: float = TICK_SECONDS) -> None:
        self._tick = tick
        self._seconds = seconds

    async def __call__(self, stop: Stop) -> None:
        while not stop.is_set():
            try:
                if asked := await self._tick():
                    _log.info("scans.requested", count=asked)
            except (RetryableError, RedisError) as error:
                _log.warning("tick.failed", error=type(error).__name__)
            await stop.wait(self._seconds)
