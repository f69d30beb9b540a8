"""Single flight: many callers of the same key share one task, and may leave it without ending it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """``landed`` hears of every task that ended by an error, since all who waited for it may have left."""

    def __init__(self, landed: Callable[[str, BaseException], None] | None = None) -> None:
        self._tasks: dict[str, asyncio.Task[T]] = {}
        self._landed = landed

    def join(self, key: str, start: Callable[[], Awaitable[T]]) -> "asyncio.Task[T]":
        """The running task of ``key``, or a new one. Wait for it with ``asyncio.wait`` or ``shield``."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(_run(start))
            task.add_done_callback(lambda done: self._end(key, done))
        return task

    def __contains__(self, key: str) -> bool:
        return key in self._tasks

    def running(self) -> "set[asyncio.Task[T]]":
        return set(self._tasks.values())

    def _end(self, key: str, task: "asyncio.Task[T]") -> None:
        self._tasks.pop(key, None)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._landed is not None:
            self._landed(key, error)


async def outcome_within(flight: "asyncio.Task[Any]", seconds: float) -> bool:
    """Wait for a flight without ending it; whether it landed in time. Raises what the flight raised."""
    await asyncio.wait({flight}, timeout=max(seconds, 0))
    if not flight.done():
        return False
    flight.result()
    return True


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """Do ``work`` for every item, some at a time: one that hangs delays those behind it by one place only."""
    places = asyncio.Semaphore(at_once)

    async def in_turn(item: T) -> None:
        async with places:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(in_turn(item))


async def _run(start: Callable[[], Awaitable[T]]) -> T:
    return await start()
