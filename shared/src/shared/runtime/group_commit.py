"""Many callers, one transaction: what is asked for while a group is under way goes together into the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.runtime.database import is_outage

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Place(Generic[T, R]):
    item: T
    answer: "asyncio.Future[R]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class GroupCommit(Generic[T, R]):
    """Calls ``work`` with up to ``most`` items, in the order in which they came, one group after the other.

    Nothing waits for company: who comes alone is a group of one, at once. ``work`` answers for each item of its group
    once all of it is committed, or fails and has then done nothing. The items of a failed group are done one by one, so
    that a faulty one harms no other. Where two of them in a row find the database away, so would all that follow: they
    fail without a try. A caller that leaves takes its item along, unless it is being worked on.
    """

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, most: int) -> None:
        self._work = work
        self._most = most
        self._waiting: deque[_Place[T, R]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """What ``work`` answers for ``item``; raises what it raised."""
        place: _Place[T, R] = _Place(item)
        self._waiting.append(place)
        if self._worker is None:
            # In a context of its own: a group speaks under nobody's correlation id.
            self._worker = asyncio.create_task(self._work_off(), context=Context())
        return await place.answer

    async def _work_off(self) -> None:
        try:
            while group := self._next():
                await self._together(group)
        finally:
            self._worker = None
            while self._waiting:  # none, unless this task was cancelled
                self._waiting.popleft().answer.cancel()

    def _next(self) -> list[_Place[T, R]]:
        group: list[_Place[T, R]] = []
        while self._waiting and len(group) < self._most:
            place = self._waiting.popleft()
            if not place.answer.done():
                group.append(place)
        return group

    async def _together(self, group: Sequence[_Place[T, R]]) -> None:
        try:
            answers = await self._work([place.item for place in group])
        except asyncio.CancelledError:
            for place in group:
                place.answer.cancel()
            raise
        except BaseException as error:
            if len(group) > 1 and isinstance(error, Exception):
                await self._one_by_one(group)
            else:
                for place in group:
                    place.fail(error)
        else:
            for place, answer in zip(group, answers, strict=True):
                if not place.answer.done():
                    place.answer.set_result(answer)

    async def _one_by_one(self, group: Sequence[_Place[T, R]]) -> None:
        away: list[BaseException] = []
        for place in group:
            if len(away) > 1:
                place.fail(away[-1])
                continue
            await self._together([place])
            error = None if place.answer.cancelled() else place.answer.exception()
            away = [*away, error] if error is not None and is_outage(error) else []
