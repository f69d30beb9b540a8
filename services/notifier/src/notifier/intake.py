"""Taking in invoices: remember each, decide about it, record what is to be said, all in one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from notifier.decide import decide
from notifier.model import CLOCKS_DIFFER, Decision, Snapshot, Verdict
from notifier.ports import Ledger, TenantBook
from shared.contracts.invoices import InvoiceEnrichedV1
from shared.contracts.messages import MessageChangedV1, MessageState
from shared.policy import Policy

_PLANS = {
    Verdict.PLAN: MessageState.PLANNED,
    Verdict.HOLD: MessageState.HELD,
    Verdict.SUPPRESS: MessageState.SUPPRESSED,
}


AT_ONCE = 50
"""How many are taken in by one transaction at most: what else wants to write waits for its end."""


@dataclass(frozen=True, slots=True)
class Arrival:
    event: InvoiceEnrichedV1
    correlation_id: str | None


class Intake:
    """The use case behind ``invoice.enriched.v1``; the same event any number of times plans each message once."""

    def __init__(
        self,
        ledger: Ledger,
        policy: Policy,
        *,
        clock: Callable[[], datetime],
        wake: Callable[[], None],
        count: Callable[[Decision], None],
    ) -> None:
        self._ledger = ledger
        self._policy = policy
        self._clock = clock
        self._wake = wake
        self._count = count

    async def __call__(self, event: InvoiceEnrichedV1, correlation_id: str | None) -> Sequence[MessageChangedV1]:
        """The changes, once they are committed."""
        (changes,) = await self.all_of([Arrival(event, correlation_id)])
        return changes

    async def all_of(self, arrivals: Sequence[Arrival]) -> Sequence[Sequence[MessageChangedV1]]:
        """Take in several, in order, by one transaction: the changes of each, once all are committed."""
        tenant_ids = {arrival.event.tenant_id for arrival in arrivals}
        async with self._ledger.open_all(tenant_ids, self._clock()) as books:
            # Read inside: what was claimed while this waited for the lock was claimed before it was known.
            now = self._clock()
            taken = [await self._take_in(books[arrival.event.tenant_id], arrival, now) for arrival in arrivals]
        for decisions, _ in taken:
            for decision in decisions:
                self._count(decision)
        self._wake()
        return [changes for _, changes in taken]

    async def _take_in(
        self, book: TenantBook, arrival: Arrival, now: datetime
    ) -> tuple[Sequence[Decision], Sequence[MessageChangedV1]]:
        event = arrival.event
        before = await book.snapshot(event.invoice.invoice_id)
        # A late event still says why the invoice was read; what the invoice is, the newest reading says.
        snapshot = _newest(Snapshot.of(event), before, now)
        history = await book.history(snapshot, now)
        if history.erased:
            snapshot = snapshot.without_person()
        if snapshot != before:
            await book.save_snapshot(snapshot)
        decisions = decide(before, snapshot, event.cause, self._policy.for_tenant(event.tenant_id), now, history)
        changes = [
            change
            for decision in decisions
            for change in await self._carry_out(book, snapshot, decision, now, arrival.correlation_id)
        ]
        await book.tell(changes, arrival.correlation_id)
        return decisions, changes

    async def _carry_out(
        self, book: TenantBook, snapshot: Snapshot, decision: Decision, now: datetime, correlation_id: str | None
    ) -> Sequence[MessageChangedV1]:
        await book.record(snapshot, decision, now)
        if decision.verdict is Verdict.CANCEL:
            return await self._cancel(book, snapshot, decision, now)
        if decision.verdict not in _PLANS:
            return []
        state = _PLANS[decision.verdict]
        intent = await book.plan(snapshot, decision, state, now, correlation_id)
        return [intent.changed(state, intent.reason, now)] if intent and state is not MessageState.PLANNED else []

    async def _cancel(
        self, book: TenantBook, snapshot: Snapshot, decision: Decision, now: datetime
    ) -> Sequence[MessageChangedV1]:
        intent = await book.intent_about(snapshot.invoice.invoice_id, decision.kind, decision.stage)
        if intent is None or not intent.pending:
            return []
        moved = await book.move(intent, MessageState.CANCELLED, decision.rule, now)
        return [intent.changed(MessageState.CANCELLED, decision.rule, now)] if moved else []


def _newest(seen: Snapshot, before: Snapshot | None, now: datetime) -> Snapshot:
    """What was read by a clock that runs ahead must not outlive what is read later."""
    seen = seen.as_read_by(now)
    if before is not None and before.read_at > now + CLOCKS_DIFFER:
        before = before.as_read_by(seen.read_at)
    return seen.after(before)
