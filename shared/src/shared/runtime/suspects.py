"""Keeps a message that kills its process from taking its neighbours along.

RabbitMQ counts against every message that a dead process held, and gives up all of them at the same limit. So those
that have come back several times are handled apart from each other and in an order that changes: at each death about
half of the innocent are done, and only who kills is there every time.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

SUSPECT_AFTER = 4
"""So many deliveries came to nothing. Fewer happen to anything: a process is restarted, a connection is cut."""
ALONE_SECONDS = 0.5
"""The next one begins after this at the latest: what is merely slow, or waits for company, must not hold up others."""
LINE_SECONDS = 20.0
"""The whole line passes in this time, however long it is: a full prefetch that came back is mostly innocent."""


class Suspects:
    """The line in which one service's suspects wait. Everything else passes at once."""

    def __init__(
        self,
        *,
        alone_seconds: float = ALONE_SECONDS,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._alone_seconds = alone_seconds
        self._pause = pause
        self._chance = chance
        self._line = asyncio.Lock()
        self._waiting = self._longest = 0

    @asynccontextmanager
    async def turn(self, returns: int) -> AsyncIterator[None]:
        """``returns``: how often the delivery has come back. The longer that goes on, the rarer the deaths."""
        if returns < SUSPECT_AFTER:
            yield
            return
        await self._pause(self._chance(0, float(returns)))
        self._waiting += 1
        self._longest = max(self._longest, self._waiting)
        try:
            await self._line.acquire()
            alone = min(self._alone_seconds, LINE_SECONDS / self._longest)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._longest = 0
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._line.release()

        timer = asyncio.get_running_loop().call_later(alone, leave)
        try:
            yield
        finally:
            timer.cancel()
            leave()
