"""Just before a message leaves: look again, decide again, brake, and claim it; each in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from notifier.brake import is_unusual
from notifier.catalogue import Catalogue
from notifier.halts import OpenBreaker, closed_now
from notifier.links import LINK_PATIENCE, LinkStep, lacks_link, link_step, why_without_link
from notifier.model import Decision, Intent, Snapshot, Verdict
from notifier.ports import Attempt, Due, Ledger, TemplateMessage, TenantBook, TurnKind
from notifier.rendering import render, template_name
from notifier.still_wanted import is_fresh, still_wanted, why_expired
from notifier.whatsapp_errors import Scope
from shared.contracts.messages import MessageChangedV1, MessageState
from shared.contracts.scans import InvoiceLookRequestedV1
from shared.policy import Brake, Policy

LOOKS_AT_ONCE = 50
LOOKS = 5
"""Requests for a fresh snapshot that may stay unanswered; then Xero does not show the invoice any more."""

_ENDS = {
    Verdict.CANCEL: MessageState.CANCELLED,
    Verdict.SUPPRESS: MessageState.SUPPRESSED,
    Verdict.HOLD: MessageState.HELD,
}


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is to be posted now, by nobody else."""

    attempt: Attempt
    message: TemplateMessage
    tries: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """A request for fresh snapshots, under the correlation id of the first message that waits for one."""

    request: InvoiceLookRequestedV1
    correlation_id: str | None


@dataclass(frozen=True, slots=True)
class LastLook:
    """What came of it: a claim, or changes, or neither when the message waits. ``braked`` when a wave was held.

    With ``lacks_link`` the message waits for its invoice's online link, which is to be asked for; with ``not_before``
    nothing that the sending number sends can leave until then.
    """

    claimed: Claimed | None = None
    lacks_link: bool = False
    changes: Sequence[MessageChangedV1] = ()
    braked: bool = False
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    with_link: bool


class LookLast:
    """Reads no snapshot older than ten minutes as the truth, and posts nothing itself."""

    def __init__(
        self,
        ledger: Ledger,
        policy: Policy,
        catalogue: Catalogue,
        *,
        clock: Callable[[], datetime],
        new_reference: Callable[[], str],
    ) -> None:
        self._ledger = ledger
        self._policy = policy
        self._catalogue = catalogue
        self._clock = clock
        self._new_reference = new_reference

    async def claim(self, due: Due) -> LastLook:
        async with self._ledger.open(due.tenant_id, self._clock()) as book:
            # Read inside and first: waiting for a lock must not age it, and a later pause is later than it.
            now = self._clock()
            if await book.is_paused():
                return LastLook()
            intent = await book.intent(due.intent_id)
            snapshot = await book.snapshot(due.invoice_id)
            if intent is None or snapshot is None or intent.state is not MessageState.PLANNED or intent.due_at > now:
                return LastLook()
            if (await book.tenant()).lost or not is_fresh(snapshot, now):
                return LastLook()
            history = await book.history(snapshot, now, leaving=intent)
            decision = still_wanted(intent, snapshot, self._policy.for_tenant(due.tenant_id), now, history)
            if decision.verdict is Verdict.SEND:
                return await self._send(book, intent, snapshot, now)
            return LastLook(changes=await _put_aside(book, intent, snapshot, decision, now))

    async def _send(self, book: TenantBook, intent: Intent, snapshot: Snapshot, now: datetime) -> LastLook:
        rules = self._policy.for_tenant(intent.tenant_id)
        message = render(snapshot, intent.kind, intent.stage, rules, self._catalogue)
        if message is None:
            gone = Decision(intent.kind, intent.stage, Verdict.CANCEL, "stage_removed")
            return LastLook(changes=await _put_aside(book, intent, snapshot, gone, now))
        breakers = await book.breakers(message.template)
        if await _stopped(book, intent, breakers, now):
            return LastLook()
        if not intent.released and await _too_many(book, rules.brake, now):
            held, first = await book.pull_brake(now)
            changes = [stopped.changed(MessageState.HELD, "brake", now) for stopped in held]
            return LastLook(changes=changes, braked=first and bool(held))
        return await self._leave(book, intent, snapshot, message, breakers, now)

    async def _leave(
        self,
        book: TenantBook,
        intent: Intent,
        snapshot: Snapshot,
        message: TemplateMessage,
        breakers: Sequence[OpenBreaker],
        now: datetime,
    ) -> LastLook:
        rules = self._policy.for_tenant(intent.tenant_id)
        step = link_step(intent, snapshot, rules, self._catalogue, now)
        if step is LinkStep.ASK and await book.await_link(intent, now + LINK_PATIENCE):
            return LastLook(lacks_link=True)
        if step is not LinkStep.GO:
            return LastLook()
        turn = await book.take_turn(message.to, now)
        if turn.kind is TurnKind.RECIPIENT and turn.until is not None:
            await book.postpone(intent, turn.until, now)
        if turn.kind is not TurnKind.GO:
            return LastLook(not_before=turn.until if turn.kind is TurnKind.PACE else None)
        attempt = Attempt(
            self._new_reference(), intent.intent_id, intent.tenant_id, message.to, message.template, intent.released
        )
        for breaker in breakers:
            if not await book.take_probe(breaker, attempt.reference, now):
                return LastLook()
        if not await book.claim(intent, attempt, now):
            return LastLook()
        if rule := why_without_link(intent, snapshot, rules, self._catalogue):
            await book.record(snapshot, Decision(intent.kind, intent.stage, Verdict.SEND, rule, now), now)
        return LastLook(Claimed(attempt, message, intent.tries + 1, now))

    async def ask_again(self, stale: Sequence[Due]) -> tuple[Sequence[Look], Sequence[MessageChangedV1]]:
        """Requests for fresh snapshots, and the cancellations of what time alone has made pointless."""
        now = self._clock()
        looks: list[Look] = []
        changes: list[MessageChangedV1] = []
        by_tenant = sorted(stale, key=lambda due: due.tenant_id)
        for tenant_id, dues in groupby(by_tenant, key=lambda due: due.tenant_id):
            async with self._ledger.open(tenant_id, now) as book:
                wanted: dict[bool, dict[str, str | None]] = {False: {}, True: {}}
                for due in dues:
                    asked, cancelled = await self._ask_about(book, due, now)
                    changes += cancelled
                    if asked is not None:
                        wanted[asked.with_link].setdefault(due.invoice_id, due.correlation_id)
            for with_link, waiting in wanted.items():
                looks += looks_for(tenant_id, waiting, with_link=with_link)
        return looks, changes

    async def _ask_about(
        self, book: TenantBook, due: Due, now: datetime
    ) -> tuple[_Asked | None, Sequence[MessageChangedV1]]:
        intent, snapshot = await book.intent(due.intent_id), await book.snapshot(due.invoice_id)
        if intent is None or snapshot is None or intent.state is not MessageState.PLANNED:
            return None, []
        rules = self._policy.for_tenant(due.tenant_id)
        rule = why_expired(intent, snapshot, rules, now)
        if rule in {"too_late", "too_old"}:
            decision = Decision(intent.kind, intent.stage, Verdict.CANCEL, rule)
            return None, await _put_aside(book, intent, snapshot, decision, now)
        if intent.look_after is not None and intent.look_after > now:
            return None, []
        if await _stopped(book, intent, await book.breakers(template_name(intent.kind, intent.stage, rules)), now):
            return None, []
        if intent.looks >= LOOKS:
            decision = Decision(intent.kind, intent.stage, Verdict.CANCEL, "not_readable")
            return None, await _put_aside(book, intent, snapshot, decision, now)
        with_link = lacks_link(intent, snapshot, rules, self._catalogue)
        # An answer that brings links takes longer; asking meanwhile would only read the invoice again.
        pause = max(patience(intent.looks), LINK_PATIENCE) if with_link else patience(intent.looks)
        if with_link:
            await book.await_link(intent, now + LINK_PATIENCE)
        return (_Asked(with_link) if await book.ask_again(intent, now + pause) else None), []


def patience(looks: int) -> timedelta:
    """How long to wait for an answer after ``looks`` others in vain: a minute at first, a day and more over all.

    A day limit or an outage of Xero must not look like an invoice that is gone.
    """
    return timedelta(minutes=6**looks)


def looks_for(tenant_id: str, waiting: Mapping[str, str | None], *, with_link: bool) -> Sequence[Look]:
    """As few requests as hold all of ``waiting``: invoice id → the correlation id of the message that waits."""
    ids = list(waiting)
    batches = [tuple(ids[start : start + LOOKS_AT_ONCE]) for start in range(0, len(ids), LOOKS_AT_ONCE)]
    return [
        Look(
            InvoiceLookRequestedV1(
                tenant_id=tenant_id, invoice_ids=batch, reason="before_sending", with_link=with_link
            ),
            waiting[batch[0]],
        )
        for batch in batches
    ]


async def _put_aside(
    book: TenantBook, intent: Intent, snapshot: Snapshot, decision: Decision, now: datetime
) -> Sequence[MessageChangedV1]:
    await book.record(snapshot, decision, now)
    if decision.verdict is Verdict.POSTPONE:
        await book.postpone(intent, decision.due_at or now, now)
        return []
    state = _ENDS[decision.verdict]
    moved = await book.move(intent, state, decision.rule, now)
    return [intent.changed(state, decision.rule, now)] if moved else []


async def _stopped(book: TenantBook, intent: Intent, breakers: Sequence[OpenBreaker], now: datetime) -> bool:
    """Whether a breaker stops the message, which then waits for it; through an open one only a probe may go."""
    closed = closed_now(breakers, now)
    for breaker in breakers:
        if breaker.scope is Scope.TEMPLATE:
            # A probe too: should it end in vain, the ledger knows by this what to try the breaker with next.
            await book.let_wait(intent, breaker)
    return bool(closed)


async def _too_many(book: TenantBook, brake: Brake, now: datetime) -> bool:
    wave = await book.wave(now, most=brake.per_tenant_per_hour, most_everywhere=brake.per_installation_per_hour)
    small = wave.sent + wave.waiting <= brake.usual_floor
    return is_unusual(wave, brake, 0 if small or not brake.usual_times else await book.busiest_hour(now))
