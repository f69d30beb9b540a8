"""Gathers single questions of a tenant into batches, so that many events cost few calls."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sized
from typing import Generic, TypeVar

from fetcher.batches import MOST_IDS, first_batch
from fetcher.pauses import LONGEST_SECONDS, MUCH, Pause
from fetcher.ports import Cut

CROWD = 4000
"""Ids of all tenants; below what the fetcher takes in at once."""
T = TypeVar("T")
Read = Callable[[str, Cut], Awaitable[Mapping[str, T | Exception]]]
"""Reads one batch of a tenant: calls the cut once it may ask, and answers every id that the cut gave."""


class Gatherer(Generic[T]):
    """One task per busy tenant asks for what its handlers wait for, one batch after the other.

    The call belongs to that task: a handler that is cancelled leaves its neighbours' call alone. The batch is cut when
    the call may be made, so ids pile up while the tenant waits for its permit, and each id is asked once.

    An idle tenant's first id waits ``linger_seconds`` for company; where some has come, more is on its way. A busy
    tenant's batch waits until it is whole, or until nothing has come for ``pause_seconds``; these double after a pause
    that brought much and return after one that brought little. So a burst fills its batches however slowly it comes
    in, and a trickle, which would save little by waiting, hardly waits.

    Where ``crowd`` ids wait for company, of all tenants together, the oldest pause ends with each that comes: they must
    not take the places of those who wait for nothing.
    """

    def __init__(
        self,
        read: Read[T],
        *,
        linger_seconds: float = 0.02,
        pause_seconds: float = 1.0,
        crowd: int = CROWD,
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self._read = read
        self._linger_seconds = linger_seconds
        self._pause_seconds = pause_seconds
        self._crowd = crowd
        self._is_behind = is_behind
        self._waiting: dict[str, dict[str, asyncio.Future[T]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._in_pauses = 0
        self._pauses: dict[str, Pause] = {}
        """The oldest first."""

    async def load(self, tenant_id: str, identifier: str) -> T:
        """What the tenant's next batch says of the id. Raises what the batch raised, or what it holds for the id."""
        waiting = self._waiting.setdefault(tenant_id, {})
        future = waiting.get(identifier)
        if future is None:
            future = waiting[identifier] = asyncio.get_running_loop().create_future()
            # A failure that nobody waits for any more is no news to anyone.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._tell_pauses(tenant_id)
        if tenant_id not in self._tasks:
            self._tasks[tenant_id] = asyncio.create_task(self._serve(tenant_id, waiting))
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, tenant_id: str, waiting: dict[str, asyncio.Future[T]]) -> None:
        try:
            await asyncio.sleep(self._linger_seconds)
            pause = self._pause_seconds
            if len(waiting) > 1:
                await self._becomes_whole(tenant_id, waiting, pause / 4)
            while waiting:
                await self._ask(tenant_id, waiting)
                if await self._becomes_whole(tenant_id, waiting, pause):
                    continue
                pause = min(2 * pause, LONGEST_SECONDS) if len(waiting) >= MUCH else self._pause_seconds
        finally:
            del self._tasks[tenant_id], self._waiting[tenant_id]
            for future in waiting.values():
                future.cancel()

    async def _becomes_whole(self, tenant_id: str, waiting: Sized, pause_seconds: float) -> bool:
        """Whether a batch became whole within the pause."""
        if len(waiting) < MOST_IDS and self._in_pauses < self._crowd:
            pause = self._pauses[tenant_id] = Pause(pause_seconds, self._is_behind)
            self._in_pauses += len(waiting)
            try:
                await pause.wait()
            finally:
                del self._pauses[tenant_id]
                self._in_pauses -= len(waiting)
        return len(waiting) >= MOST_IDS

    def _tell_pauses(self, tenant_id: str) -> None:
        """An id of the tenant has come."""
        if pause := self._pauses.get(tenant_id):
            self._in_pauses += 1
            pause.came()
            if len(self._waiting[tenant_id]) >= MOST_IDS:
                pause.end()
        if self._in_pauses >= self._crowd:
            oldest = next((pause for pause in self._pauses.values() if not pause.is_over), None)
            if oldest:
                oldest.end()

    async def _ask(self, tenant_id: str, waiting: dict[str, asyncio.Future[T]]) -> None:
        batch: dict[str, asyncio.Future[T]] = {}

        def cut() -> tuple[str, ...]:
            if not batch:
                batch.update({identifier: waiting.pop(identifier) for identifier in first_batch(waiting)})
            return tuple(batch)

        reading = asyncio.ensure_future(self._read(tenant_id, cut))
        try:
            await asyncio.wait([reading])
        finally:
            if not reading.done():
                reading.cancel()
                _cancel(batch)
            else:
                # Refused before anything was cut: it holds for all that wait.
                if not batch:
                    batch.update(waiting)
                    waiting.clear()
                _settle(batch, reading)


def _settle(batch: Mapping[str, asyncio.Future[T]], reading: asyncio.Future[Mapping[str, T | Exception]]) -> None:
    if reading.cancelled():
        _cancel(batch)
        return
    error = reading.exception()
    answers = reading.result() if error is None else {}
    for identifier, future in batch.items():
        answer = error or answers.get(identifier, LookupError(identifier))
        if future.done():
            continue
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _cancel(batch: Mapping[str, asyncio.Future[T]]) -> None:
    for future in batch.values():
        future.cancel()
