"""How long a busy tenant's next batch waits for company."""

import asyncio
from collections.abc import Callable

LONGEST_SECONDS = 12.0
LONGEST_BEHIND_SECONDS = 30.0
MUCH = 5
"""Ids within a pause: a batch that is worth waiting for."""
_LOOK_AGAIN_SECONDS = 0.25


class Pause:
    """Lasts until nothing has come for ``quiet_seconds``: ``LONGEST_SECONDS`` at most where much comes, else twice as
    long at most. It may be ended before.

    While the process ``is_behind`` with what was read already, a small batch would gain its ids nothing: then the pause
    goes on, for ``LONGEST_BEHIND_SECONDS`` at most.
    """

    def __init__(self, quiet_seconds: float, is_behind: Callable[[], bool]) -> None:
        self._now = asyncio.get_running_loop().time
        self.quiet_seconds = quiet_seconds
        self._is_behind = is_behind
        self._began_at = self._came_at = self._now()
        self._brought = 0
        self._over = asyncio.Event()

    def came(self) -> None:
        """Something has come, so there may soon be more."""
        self._came_at = self._now()
        self._brought += 1

    def end(self) -> None:
        self._over.set()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    async def wait(self) -> None:
        while not self.is_over and (seconds := self._left()) > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._over.wait()
            except TimeoutError:
                continue

    def _left(self) -> float:
        now = self._now()
        longest = LONGEST_SECONDS if self._brought >= MUCH else min(2 * self.quiet_seconds, LONGEST_SECONDS)
        left = min(self._came_at + self.quiet_seconds, self._began_at + longest) - now
        if left <= 0 and self._is_behind():
            return min(_LOOK_AGAIN_SECONDS, self._began_at + LONGEST_BEHIND_SECONDS - now)
        return left
