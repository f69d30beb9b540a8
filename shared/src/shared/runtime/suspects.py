"""Keeps a message that kills its process from taking others along.

RabbitMQ counts a death against every message that the dead process held, delivers them again at once, and gives up all
of them at the same limit. So what has come back several times goes down the delay ladder, as any other failure does:
nobody else is held up by one death after the other. What comes off the ladder is handled apart from its like and in an
order that changes: at each death about half of the innocent are done, and only who kills is there every time.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

SUSPECT_AFTER = 3
"""So many deliveries in a row came to nothing. Fewer happen to anything: a process restarts, a connection is cut."""
CONSUMER_LOST = "consumer_lost"
"""Why such a message is on the ladder, or among the dead letters at its end."""
SPREAD_SECONDS = 2.0
"""The order of the line is drawn within this time."""
ALONE_SECONDS = 0.5
"""The next one begins after this at the latest: what is merely slow, or waits for company, must not hold up others."""
LINE_SECONDS = 20.0
"""The whole line passes in this time, however long it is: a full prefetch that came back is mostly innocent."""


class Suspects:
    """The line in which one service's suspects wait. Nothing else enters it."""

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
    async def turn(self) -> AsyncIterator[None]:
        """In the line, for as long as one may be alone there."""
        await self._pause(self._chance(0, SPREAD_SECONDS))
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
