"""An event loop whose time and turns belong to the test: it runs when it is told to, and never waits."""

import asyncio
import heapq
from collections.abc import Callable
from typing import Any


class VirtualTime:
    """Counted in microseconds, so that no two transactions happen at the same moment and sums stay exact."""

    def __init__(self) -> None:
        self.micros = 0

    def seconds(self) -> float:
        return self.micros / 1e6

    def tick(self) -> None:
        self.micros += 1

    def advance(self, seconds: float) -> None:
        self.micros += round(seconds * 1e6)


class SteppedLoop(asyncio.BaseEventLoop):
    """Stands for one process. Whoever no longer calls ``settle`` has stopped it, with everything it was about to do."""

    def __init__(self, time: VirtualTime, failed: Callable[[str], None]) -> None:
        super().__init__()
        self._virtual = time
        self._failed = failed
        self._clock_resolution = 1e-6
        self._selector = _NothingToWatch()
        self.started: list[asyncio.Task[Any]] = []

    def time(self) -> float:
        return self._virtual.seconds()

    def settle(self) -> bool:
        """Run until every task waits for a timer in the future or for the test; whether there was anything to do."""
        busy = False
        asyncio._set_running_loop(self)
        try:
            while self._ready or self._due():  # type: ignore[attr-defined]  # BaseEventLoop's own queue
                busy = True
                self._run_once()  # type: ignore[attr-defined]  # one turn of BaseEventLoop
        finally:
            asyncio._set_running_loop(None)
        return busy

    def next_timer(self) -> float | None:
        """When something happens by itself, in seconds."""
        timers = self._timers()
        while timers and timers[0]._cancelled:
            heapq.heappop(timers)._scheduled = False
        return timers[0].when() if timers else None

    def begin(self, work: Any) -> "asyncio.Task[Any]":
        """Start a coroutine as a task of this loop; it makes its first step when the loop settles."""
        asyncio._set_running_loop(self)
        try:
            task: asyncio.Task[Any] = self.create_task(work)
            return task
        finally:
            asyncio._set_running_loop(None)

    def create_task(self, *args: Any, **named: Any) -> Any:
        task = super().create_task(*args, **named)
        self.started.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._failed(f"{context.get('message')}: {context.get('exception')!r}")

    def bury(self) -> None:
        """End all tasks; only after everything they could still reach was cut off."""
        for _ in range(50):
            left = [task for task in self.started if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self.settle()
        for task in self.started:
            if task.done() and not task.cancelled():
                task.exception()
        self.close()

    def _timers(self) -> list[Any]:
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined]  # BaseEventLoop's own heap
        return timers

    def _due(self) -> bool:
        first = self.next_timer()
        return first is not None and first < self.time() + self._clock_resolution

    def _process_events(self, _: Any) -> None:
        return


class _NothingToWatch:
    def select(self, _: float | None) -> list[Any]:
        return []
