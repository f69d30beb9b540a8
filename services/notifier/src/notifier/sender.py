"""The loop that sends: takes what is due, looks once more, posts once, and records what came of it."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from notifier.halts import CHECKED_WITHIN
from notifier.last_look import Claimed, LookLast
from notifier.link_requests import LinkRequests
from notifier.links import refused_with_link
from notifier.looks import Look
from notifier.ports import Due, Ledger, Outcome, Rejected, SendsMessages
from notifier.telemetry import HaltWatch, SenderLog
from notifier.whatsapp_errors import CLAIM_TOO_OLD, ErrorClass, retry_after
from shared.contracts.messages import MessageChangedV1, MessageState
from shared.errors import PublishFailed
from shared.runtime.group_commit import GroupCommit
from shared.runtime.publisher import Publishes
from shared.runtime.service import Stop
from shared.telemetry.correlation import correlated

IN_FLIGHT = 16
"""How many are between their claim and their answer at once: what a crash leaves unknown is never more."""
CLAIMS = IN_FLIGHT // 2
"""How many are claimed by one transaction at most: the first of them waits for the last."""
BATCH = 200
TURN = 2 * IN_FLIGHT
"""How many are taken before the ledger is asked again, which takes turns between organisations each time."""
POLL_SECONDS = 1.0
SENDER_GONE_AFTER = timedelta(seconds=60)
"""Far longer than the provider's deadline: whoever claimed a message this long ago is not there any more."""
ABANDON_EVERY = timedelta(seconds=5)
_OVERTAKEN_WITHIN = 10 * SENDER_GONE_AFTER
"""How much earlier than its answer a status may have come. A sender that starts looks at all."""
_PUBLISH_SECONDS = 5.0
_DOUBTS = 2
"""How often the ledger is freed of moments that cannot be: what the wrong time had begun may end after the first."""


class Sender:
    """Any number may run at once: a claim in the ledger decides who posts."""

    def __init__(
        self,
        ledger: Ledger,
        look_last: LookLast,
        provider: SendsMessages,
        events: Publishes,
        *,
        clock: Callable[[], datetime],
        log: SenderLog,
        told: Callable[[], None],
        watch: HaltWatch | None = None,
    ) -> None:
        """``told`` says that the outbox holds something new. ``watch`` is shared by senders that run beside each other,
        so that each halt is told once.
        """
        self._ledger = ledger
        self._look_last = look_last
        self._claim = GroupCommit(look_last.claim_all, most=CLAIMS)
        self._provider = provider
        self._events = events
        self._clock = clock
        self._log = log
        self._told = told
        self._woken = asyncio.Event()
        self._queue: deque[Due] = deque()
        self._running: dict[asyncio.Task[None], str] = {}
        self._links = LinkRequests()
        self._watch = watch or HaltWatch(log)
        self._abandoned_at: datetime | None = None
        self._doubts = _DOUBTS
        self._starts = True
        self._not_before: datetime | None = None

    def wake(self) -> None:
        """Something may be due before the next poll."""
        self._woken.set()

    async def run(self, stop: Stop) -> None:
        """Until ``stop``; what is being posted then is finished."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._woken.clear()
                await self._fill(TURN)
                self._start()
                await self._pause(stopping)
        finally:
            stopping.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await self._ask_for_links(idle=True)

    async def run_once(self) -> None:
        """Everything that can leave now, and no more."""
        await self._fill(BATCH)
        while self._queue or self._running:
            if self._not_before is not None:
                self._queue.clear()
            self._start()
            if self._running:
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            self._reap()
        self._not_before = None
        await self._ask_for_links(idle=True)

    async def _fill(self, most: int) -> None:
        now = self._clock()
        if self._abandoned_at is not None and now < self._abandoned_at:
            self._doubts, self._abandoned_at = _DOUBTS, None
        if self._abandoned_at is None or now - self._abandoned_at >= ABANDON_EVERY:
            self._abandoned_at = now
            if self._doubts:
                self._doubts -= 1
                await self._ledger.turned_back(now)
            self._note(await self._ledger.abandon(now - SENDER_GONE_AFTER, now))
            since = None if self._starts else now - _OVERTAKEN_WITHIN
            self._learn(await self._ledger.catch_up(now, since))
            self._starts = False
            self._watch.see(await self._ledger.halts())
            if waiting := await self._ledger.note_tier(now):
                self._log.tier_spent(waiting)
        if self._queue:
            return
        due = await self._ledger.due(now, BATCH)
        looks, changes = await self._look_last.ask_again([item for item in due if item.stale])
        for look in looks:
            with correlated(look.correlation_id):
                await self._events.publish(look.request)
        self._note(changes)
        taken = set(self._running.values())
        fresh = [item for item in due if not item.stale and item.intent_id not in taken]
        self._queue.extend(fresh[:most])
        await self._ask_for_links(idle=not fresh)

    def _start(self) -> None:
        if self._not_before is not None:
            # It is never further away, unless the clock went back.
            if timedelta() < self._not_before - self._clock() <= timedelta(seconds=POLL_SECONDS):
                return
            self._not_before = None
        while self._queue and len(self._running) < IN_FLIGHT:
            due = self._queue.popleft()
            self._running[asyncio.create_task(self._deliver(due))] = due.intent_id

    def _reap(self) -> None:
        for task in [task for task in self._running if task.done()]:
            del self._running[task]
            task.result()

    async def _pause(self, stopping: asyncio.Task[bool]) -> None:
        woken = asyncio.create_task(self._woken.wait())
        waiting = {stopping, woken, *self._running}
        timeout = POLL_SECONDS
        if self._not_before is not None:
            timeout = min(max((self._not_before - self._clock()).total_seconds(), 0), POLL_SECONDS)
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        woken.cancel()
        self._reap()

    async def _deliver(self, due: Due) -> None:
        with correlated(due.correlation_id):
            look = await self._claim(due)
            # Posted before anything else is done: what dies between the claim and the post is never sent.
            if look.claimed is not None:
                self._log.priced(look.claimed.attempt.bill)
                await self._settle(look.claimed, await self._post(look.claimed))
            if look.not_before is not None:
                self._queue.appendleft(due)
                soon = self._clock() + timedelta(seconds=POLL_SECONDS)
                self._not_before = min(look.not_before, soon)
            if look.lacks_link is not None:
                self._links.add(replace(due, invoice_id=look.lacks_link), self._clock())
            for request in look.looks:
                await self._ask(request)
            if look.braked:
                self._log.braked(due.tenant_id, look.held)
            self._note(look.changes)

    async def _ask_for_links(self, *, idle: bool) -> None:
        for look in self._links.take(self._clock(), idle=idle):
            with correlated(look.correlation_id):
                try:
                    await self._events.publish(look.request, deadline=_PUBLISH_SECONDS)
                except PublishFailed:
                    # The messages have their time to wait in the ledger, and leave without.
                    self._log.links_not_asked(look.request.tenant_id, len(look.request.invoice_ids))

    async def _ask(self, look: Look) -> None:
        """For a fresh look at what is to leave with a message; the ledger knows when to ask again, if in vain."""
        with correlated(look.correlation_id):
            try:
                await self._events.publish(look.request, deadline=_PUBLISH_SECONDS)
            except PublishFailed:
                self._log.looks_not_asked(look.request.tenant_id, len(look.request.invoice_ids))

    async def _post(self, claimed: Claimed) -> Outcome:
        if self._clock() - claimed.at > CHECKED_WITHIN:
            return Rejected("claim_too_old", CLAIM_TOO_OLD)
        return await self._provider.send(claimed.message, claimed.attempt.reference)

    async def _settle(self, claimed: Claimed, outcome: Outcome) -> None:
        now = self._clock()
        attempt = claimed.attempt
        self._log.attempted(attempt.intent_id, outcome)
        if isinstance(outcome, Rejected) and (refused := refused_with_link(outcome, attempt.template)):
            changes = await self._ledger.settle(attempt, refused, now, retry_at=now, burns=False)
        elif isinstance(outcome, Rejected):
            retry_at, burns = next_try(outcome, claimed.tries, now)
            changes = await self._ledger.settle(attempt, outcome, now, retry_at=retry_at, burns=burns)
        else:
            self._learn(await self._ledger.settle(attempt, outcome, now))
            return
        self._note(changes)

    def _learn(self, changes: Sequence[MessageChangedV1]) -> None:
        for change in changes:
            # A fault of the account was reported before the answer had told us whose it was.
            if change.state is MessageState.PLANNED and change.reason:
                self._log.stopped(change.reason, change.intent_id)
        self._note(changes)

    def _note(self, changes: Sequence[MessageChangedV1]) -> None:
        for change in changes:
            self._log.changed(change)
        if changes:
            self._told()


def next_try(outcome: Rejected, tries: int, now: datetime) -> tuple[datetime | None, bool]:
    """When to try again (None: never) and whether this try counts."""
    handling = outcome.handling
    if handling.breaker is not None and not handling.burns:
        return now + handling.breaker.probe_after, False
    if handling.error_class is ErrorClass.RETRY and (tries < handling.tries or not handling.burns):
        return now + retry_after(tries), handling.burns
    return None, True
