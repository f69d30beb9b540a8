"""Keeps a message that kills its process from taking others along.

RabbitMQ counts a death against every message that the dead process held, delivers them again at once, and gives up all
of them at the same limit. So what has come back goes down the delay ladder, as any other failure does: nobody else is
held up by one death after the other. Each takes a pause of its own, and what comes off the ladder is handled apart from
its like in an order drawn anew: few of the innocent meet the killer's next death, and only the killer meets all.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aio_pika.abc import AbstractIncomingMessage

from shared.topology.delays import LADDER

SUSPECT_AFTER = 3
"""So many deliveries came to nothing. Fewer happen to anything: a process restarts, a connection is cut."""
CONSUMER_LOST = "consumer_lost"
"""Why such a message is on the ladder, or among the dead letters at its end."""
SPREAD_SECONDS = 2.0
"""The order of the line is drawn within this time."""
ALONE_SECONDS = 0.5
"""The next one begins after this at the latest: what is merely slow, or waits for company, must not hold up others."""
LINE_SECONDS = 20.0
"""The whole line passes in this time, however long it is: a full prefetch that came back is mostly innocent."""
_RUNGS = 3
_LADDER = LADDER[:5]
"""No longer rungs, and the short ones thrice: most suspects are innocent, and where a service dies for another reason,
what it held must not wait for hours after that."""


def is_suspect(message: AbstractIncomingMessage, *, known: bool, last: bool = False) -> bool:
    """Whether it is to be put off instead of handled.

    ``known``: it is on the ladder for that reason already. ``last``: else it would be buried; a process that was merely
    stopped must not be what it is buried for.
    """
    return bool(message.redelivered) if known and not last else returns_of(message) >= SUSPECT_AFTER


def returns_of(message: AbstractIncomingMessage) -> int:
    """How often RabbitMQ has taken this message back, since it came to its queue; every dead consumer counts."""
    value = message.headers.get("x-delivery-count", 0)
    return value if isinstance(value, int) else 0


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

    def pause_before(self, attempt: int) -> float:
        """Seconds on the ladder before the next try, ``attempt`` counted from 1: one of three rungs."""
        first = min(max(attempt - 1, 0) // _RUNGS, len(_LADDER) - _RUNGS)
        rungs = _LADDER[first : first + _RUNGS]
        return rungs[min(int(self._chance(0, _RUNGS)), _RUNGS - 1)].seconds

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
