"""Telling on what changed: at least once, a message's changes in their order, under the same id if told again."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import uuid4

from notifier.outbox_ports import Outbox, Tells, Untold
from notifier.telemetry import OutboxLog
from shared.errors import PublishFailed
from shared.runtime.service import Stop
from shared.telemetry.correlation import correlated

BATCH = 200
AT_ONCE = 50
POLL_SECONDS = 1.0
GATHER_SECONDS = 0.05
"""What happens so soon after the last batch is told with the next: under load a batch is one write for many."""
PUBLISH_SECONDS = 5.0
BATCH_SECONDS = 10.0
"""A batch begins nothing after this; with one publish's deadline on top it ends well before its turn is another's."""
MEASURE_SECONDS = 5.0


class TellChanges:
    """Any number may run at once; who holds the turn tells, and who died with it tells again what was not forgotten."""

    def __init__(self, outbox: Outbox, events: Tells, *, clock: Callable[[], datetime], log: OutboxLog) -> None:
        self._outbox = outbox
        self._events = events
        self._clock = clock
        self._log = log
        self._holder = uuid4().hex
        self._woken = asyncio.Event()
        self._measured_at = float("-inf")

    def wake(self) -> None:
        """Something was committed."""
        self._woken.set()

    async def run(self, stop: Stop) -> None:
        while not stop.is_set():
            self._woken.clear()
            all_told = await self.tell_once()
            await self._measure()
            if all_told:
                await self._pause(stop)
            else:
                # Another replica's turn, or nobody takes it: to knock at every change would only disturb.
                await stop.wait(POLL_SECONDS)
            await stop.wait(GATHER_SECONDS)

    async def tell_once(self) -> bool:
        """Tell what waits; False when some of it still does."""
        if await self._outbox.is_empty():
            return True
        told: Sequence[str] = ()
        while batch := await self._outbox.take(self._holder, self._clock(), told, BATCH):
            told = await self._tell(batch)
            if len(told) < len(batch):
                await self._outbox.give_back(self._holder, told)
                return False
        return await self._outbox.is_empty()

    async def _tell(self, batch: Sequence[Untold]) -> Sequence[str]:
        """The ids of those that RabbitMQ has confirmed."""
        by_intent: dict[str, list[Untold]] = {}
        for item in batch:
            by_intent.setdefault(item.change.intent_id, []).append(item)
        told: list[str] = []
        end = asyncio.get_running_loop().time() + BATCH_SECONDS
        waiting = iter(by_intent.values())
        failed = False

        async def tell_some() -> None:
            nonlocal failed
            for changes in waiting:
                for item in changes:
                    if failed or asyncio.get_running_loop().time() > end:
                        return
                    try:
                        with correlated(item.correlation_id):
                            await self._events.publish(item.change, deadline=PUBLISH_SECONDS, message_id=item.event_id)
                    except PublishFailed:
                        failed = True
                        return
                    told.append(item.event_id)

        await asyncio.gather(*(tell_some() for _ in range(min(AT_ONCE, len(by_intent)))))
        return told

    async def _measure(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._measured_at >= MEASURE_SECONDS:
            self._measured_at = now
            self._log.backlog(await self._outbox.backlog(), self._clock())

    async def _pause(self, stop: Stop) -> None:
        stopping, woken = asyncio.create_task(stop.wait()), asyncio.create_task(self._woken.wait())
        await asyncio.wait({stopping, woken}, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        woken.cancel()
