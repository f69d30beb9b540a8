"""Gathers single questions of a tenant into batches, so that many events cost few calls."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from fetcher.batches import MOST_IDS, first_batch
from fetcher.ports import Cut

T = TypeVar("T")
Read = Callable[[str, Cut], Awaitable[Mapping[str, T | Exception]]]
"""Reads one batch of a tenant: calls the cut once it may ask, and answers every id that the cut gave."""


class Gatherer(Generic[T]):
    """One task per busy tenant asks for what its handlers wait for, one batch after the other.

    The call belongs to that task: a handler that is cancelled leaves its neighbours' call alone. The batch is cut when
    the call may be made, so ids pile up while the tenant waits for its permit, and each id is asked once.

    An idle tenant's first id waits ``linger_seconds`` for company. A busy tenant's batches stand ``pause_seconds``
    apart, unless a whole one waits: a trickle of events would otherwise spend a call each, and the minute with them.
    """

    def __init__(self, read: Read[T], *, linger_seconds: float = 0.02, pause_seconds: float = 0.5) -> None:
        self._read = read
        self._linger_seconds = linger_seconds
        self._pause_seconds = pause_seconds
        self._waiting: dict[str, dict[str, asyncio.Future[T]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def load(self, tenant_id: str, identifier: str) -> T:
        """What the tenant's next batch says of the id. Raises what the batch raised, or what it holds for the id."""
        waiting = self._waiting.setdefault(tenant_id, {})
        future = waiting.get(identifier)
        if future is None:
            future = waiting[identifier] = asyncio.get_running_loop().create_future()
            # A failure that nobody waits for any more is no news to anyone.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
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
            while waiting:
                await self._ask(tenant_id, waiting)
                if len(waiting) < MOST_IDS:
                    await asyncio.sleep(self._pause_seconds)
        finally:
            del self._tasks[tenant_id], self._waiting[tenant_id]
            for future in waiting.values():
                future.cancel()

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
