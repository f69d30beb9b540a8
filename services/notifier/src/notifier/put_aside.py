"""What becomes of a message that is not to leave now: an end, another moment, or a wait behind a breaker."""

from collections.abc import Sequence
from datetime import datetime

from notifier.halts import OpenBreaker, closed_now
from notifier.model import Decision, Intent, Snapshot, Verdict
from notifier.ports import TenantBook
from notifier.whatsapp_errors import Scope
from shared.contracts.messages import MessageChangedV1, MessageState

_ENDS = {
    Verdict.CANCEL: MessageState.CANCELLED,
    Verdict.SUPPRESS: MessageState.SUPPRESSED,
    Verdict.HOLD: MessageState.HELD,
}


async def put_aside(
    book: TenantBook, intent: Intent, snapshot: Snapshot, decision: Decision, now: datetime
) -> Sequence[MessageChangedV1]:
    await book.record(snapshot, decision, now)
    if decision.verdict is Verdict.POSTPONE:
        await book.postpone(intent, decision.due_at or now, now)
        return []
    state = _ENDS[decision.verdict]
    moved = await book.move(intent, state, decision.rule, now)
    return [intent.changed(state, decision.rule, now)] if moved else []


async def stopped(book: TenantBook, intent: Intent, breakers: Sequence[OpenBreaker], now: datetime) -> bool:
    """Whether a breaker stops the message, which then waits for it; through an open one only a probe may go."""
    closed = closed_now(breakers, now)
    for breaker in breakers:
        # Where a form with a link may be tried, the message need not be the one that tries: it has another form.
        if breaker.scope is Scope.TEMPLATE and not (breaker.shows_link and breaker.lets_probe(now)):
            # A probe too: should it end in vain, the ledger knows by this what to try the breaker with next.
            await book.let_wait(intent, breaker)
    return bool(closed)
