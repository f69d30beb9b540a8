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

    @asynccontextmanager
    async def turn(self, returns: int) -> AsyncIterator[None]:
        """``returns``: how often the delivery has come back. The longer that goes on, the rarer the deaths."""
        if returns < SUSPECT_AFTER:
            yield
            return
        await self._pause(self._chance(0, float(returns)))
        await self._line.acquire()
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._line.release()

        timer = asyncio.get_running_loop().call_later(self._alone_seconds, leave)
        try:
            yield
        finally:
            timer.cancel()
            leave()
