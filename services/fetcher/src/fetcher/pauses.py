"""How long a busy tenant's next batch waits for company."""

import asyncio


class Pause:
    """Lasts until nothing has come for ``quiet_seconds``, ``longest_seconds`` at most; it may be ended before."""

    def __init__(self, quiet_seconds: float, longest_seconds: float) -> None:
        self._now = asyncio.get_running_loop().time
        self._quiet_seconds = quiet_seconds
        self._came_at = self._now()
        self._end_at = self._came_at + longest_seconds
        self._over = asyncio.Event()

    def came(self) -> None:
        """Something has come, so there may soon be more."""
        self._came_at = self._now()

    def end(self) -> None:
        self._over.set()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    async def wait(self) -> None:
        while (until := min(self._came_at + self._quiet_seconds, self._end_at)) > self._now() and not self.is_over:
            try:
                async with asyncio.timeout_at(until):
                    await self._over.wait()
            except TimeoutError:
                continue
