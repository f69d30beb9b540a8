"""Just before a message leaves: look again, decide again, brake, and claim it; each in one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from notifier.brake import is_unusual
from notifier.budget import MONTHLY_BUDGET, is_over_budget
from notifier.catalogue import Catalogue
from notifier.halts import OpenBreaker, closed_now
from notifier.links import LINK_PATIENCE, LinkStep, lacks_link, link_step, why_without_link
from notifier.looks import LOOKS, Look, looks_for, patience
from notifier.model import Decision, Intent, Snapshot, Verdict
from notifier.ports import Attempt, Due, Ledger, TemplateMessage, TenantBook, TurnKind
from notifier.rates import Bill, Rates
from notifier.rendering import render
from notifier.stages import local_date
from notifier.still_wanted import is_fresh, still_wanted, why_expired
from notifier.template_check import TEMPLATE_PATIENCE, TemplateCheck
from notifier.whatsapp_errors import Scope
from shared.contracts.messages import MessageChangedV1, MessageState
from shared.policy import Brake, Policy

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
class _Ready:
    """A message that may leave but for its link, its turn and the breakers that let it probe.

    ``without_link`` is the rule under which it takes the form without, where the policy asks for one.
    """

    intent: Intent
    snapshot: Snapshot
    message: TemplateMessage
    breakers: Sequence[OpenBreaker]
    step: LinkStep
    without_link: str | None
    bill: Bill


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
        account: str | None = None,
        rates: Rates | None = None,
    ) -> None:
        """``account`` is the WhatsApp Business Account whose templates are known; None checks none."""
        self._ledger = ledger
        self._policy = policy
        self._templates = TemplateCheck(catalogue, account)
        self._rates = rates or Rates()
        self._clock = clock
        self._new_reference = new_reference

    async def claim(self, due: Due) -> LastLook:
        return (await self.claim_all([due]))[0]

    async def claim_all(self, dues: Sequence[Due]) -> Sequence[LastLook]:
        """Look at each, in order, in one transaction; nothing is claimed before it is committed."""
        async with self._ledger.open_all({due.tenant_id for due in dues}, self._clock()) as books:
            # Read inside and first: waiting for a lock must not age it, and a later pause is later than it.
            now = self._clock()
            return [await self._claim(books[due.tenant_id], due, now) for due in dues]

    async def _claim(self, book: TenantBook, due: Due, now: datetime) -> LastLook:
        look = await self._look(book, due, now)
        await book.tell(look.changes, due.correlation_id)
        return look

    async def _look(self, book: TenantBook, due: Due, now: datetime) -> LastLook:
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
        forms, without_link = await self._templates.forms(book, intent, snapshot.contact, rules, now)
        message = render(snapshot, intent.kind, intent.stage, rules, forms)
        if message is None:
            gone = Decision(intent.kind, intent.stage, Verdict.CANCEL, "stage_removed")
            return LastLook(changes=await _put_aside(book, intent, snapshot, gone, now))
        if rule := await self._templates.why_not(book, message):
            waits = Decision(intent.kind, intent.stage, Verdict.POSTPONE, rule, now + TEMPLATE_PATIENCE)
            return LastLook(changes=await _put_aside(book, intent, snapshot, waits, now))
        breakers = await book.breakers(message.template)
        if await _stopped(book, intent, breakers, now):
            return LastLook()
        bill = self._rates.bill(message.to, rules.billing_currency, local_date(now, snapshot.organisation.time_zone))
        if not intent.released and await is_over_budget(book, intent.kind, rules, bill):
            dear = Decision(intent.kind, intent.stage, Verdict.HOLD, MONTHLY_BUDGET)
            return LastLook(changes=await _put_aside(book, intent, snapshot, dear, now))
        if not intent.released and await _too_many(book, rules.brake, now):
            held, first = await book.pull_brake(now)
            changes = [stopped.changed(MessageState.HELD, "brake", now) for stopped in held]
            return LastLook(changes=changes, braked=first and bool(held))
        step = link_step(intent, snapshot, rules, forms, now)
        without_link = without_link or why_without_link(intent, snapshot, rules, forms)
        return await self._leave(book, _Ready(intent, snapshot, message, breakers, step, without_link, bill), now)

    async def _leave(self, book: TenantBook, ready: _Ready, now: datetime) -> LastLook:
        intent, message = ready.intent, ready.message
        if ready.step is LinkStep.ASK and await book.await_link(intent, now + LINK_PATIENCE):
            return LastLook(lacks_link=True)
        if ready.step is not LinkStep.GO:
            return LastLook()
        turn = await book.take_turn(message.to, now)
        if turn.kind is TurnKind.RECIPIENT and turn.until is not None:
            await book.postpone(intent, turn.until, now)
        if turn.kind is not TurnKind.GO:
            return LastLook(not_before=turn.until if turn.kind is TurnKind.PACE else None)
        reference = self._new_reference()
        attempt = Attempt(
            reference, intent.intent_id, intent.tenant_id, message.to, message.template, intent.released, ready.bill
        )
        for breaker in ready.breakers:
            if not await book.take_probe(breaker, attempt.reference, now):
                return LastLook()
        if not await book.claim(intent, attempt, now):
            return LastLook()
        if ready.without_link:
            decision = Decision(intent.kind, intent.stage, Verdict.SEND, ready.without_link, now)
            await book.record(ready.snapshot, decision, now)
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
                    with_link, cancelled = await self._ask_about(book, due, now)
                    await book.tell(cancelled, due.correlation_id)
                    changes += cancelled
                    if with_link is not None:
                        wanted[with_link].setdefault(due.invoice_id, due.correlation_id)
            for with_links, waiting in wanted.items():
                looks += looks_for(tenant_id, waiting, with_link=with_links)
        return looks, changes

    async def _ask_about(
        self, book: TenantBook, due: Due, now: datetime
    ) -> tuple[bool | None, Sequence[MessageChangedV1]]:
        """Whether a fresh snapshot is asked for with links, None when none is; and what time has ended."""
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
        forms, _ = await self._templates.forms(book, intent, snapshot.contact, rules, now)
        message = render(snapshot, intent.kind, intent.stage, rules, forms)
        if await _stopped(book, intent, await book.breakers(message.template if message else None), now):
            return None, []
        if intent.looks >= LOOKS:
            decision = Decision(intent.kind, intent.stage, Verdict.CANCEL, "not_readable")
            return None, await _put_aside(book, intent, snapshot, decision, now)
        with_link = lacks_link(intent, snapshot, rules, forms)
        # An answer that brings links takes longer; asking meanwhile would only read the invoice again.
        pause = max(patience(intent.looks), LINK_PATIENCE) if with_link else patience(intent.looks)
        if with_link:
            await book.await_link(intent, now + LINK_PATIENCE)
        return (with_link if await book.ask_again(intent, now + pause) else None), []


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
