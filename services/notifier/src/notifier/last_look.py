"""Just before a message leaves: look again, decide again, brake, and claim it; each in one transaction."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime

from notifier.brake import why_held
from notifier.budget import MONTHLY_BUDGET, is_over_budget
from notifier.catalogue import Catalogue
from notifier.fresh_looks import AskForLooks
from notifier.gathering import Member, gathers
from notifier.halts import OpenBreaker, in_language
from notifier.links import LINK_PATIENCE, LinkStep, link_step, why_without_link
from notifier.looks import Look
from notifier.model import Decision, History, Intent, Snapshot, Verdict
from notifier.ports import Attempt, Due, Ledger, TemplateMessage, TenantBook, TurnKind
from notifier.put_aside import put_aside, stopped
from notifier.rates import Bill, Rates
from notifier.rendering import render
from notifier.stages import local_date
from notifier.statement_text import STATEMENT, render_statement, with_room
from notifier.still_wanted import is_fresh, still_wanted
from notifier.template_check import TEMPLATE_PATIENCE, TemplateCheck
from notifier.together import gather
from shared.contracts.messages import MessageChangedV1, MessageState
from shared.policy import Brake, Policy, TenantPolicy


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is to be posted now, by nobody else."""

    attempt: Attempt
    message: TemplateMessage
    tries: int
    at: datetime


@dataclass(frozen=True, slots=True)
class LastLook:
    """What came of it: a claim, or changes, or neither when the message waits.

    ``braked`` when a wave was held, of ``held`` messages. ``lacks_link`` is the invoice whose online link the message
    waits for, which is to be asked for; ``looks`` ask for what is to leave with it. With ``not_before`` nothing that
    the sending number sends can leave until then.
    """

    claimed: Claimed | None = None
    lacks_link: str | None = None
    changes: Sequence[MessageChangedV1] = ()
    braked: bool = False
    held: int = 0
    looks: Sequence[Look] = ()
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A message that may leave but for its template, the breakers, the brake, its link and its turn.

    It is of one invoice, or a statement of several, the oldest first; ``template`` is a statement's, else the stage's.
    """

    members: Sequence[Member]

    @property
    def intent(self) -> Intent:
        return self.members[0].intent

    @property
    def snapshot(self) -> Snapshot:
        return self.members[0].snapshot

    @property
    def intents(self) -> Sequence[Intent]:
        return [member.intent for member in self.members]

    @property
    def template(self) -> str | None:
        return STATEMENT if len(self.members) > 1 else None

    @property
    def released(self) -> bool:
        return all(intent.released for intent in self.intents)

    def those(self, *, released: bool) -> "_Leaving":
        return _Leaving([member for member in self.members if member.intent.released is released])


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message that may leave but for its link, its turn and the breakers that let it probe.

    ``without_link`` is the rule under which it takes the form without, where the policy asks for one.
    """

    leaving: _Leaving
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
        self._catalogue = catalogue
        self._templates = TemplateCheck(catalogue, account)
        self._rates = rates or Rates()
        self._clock = clock
        self._new_reference = new_reference
        self._ask_for_looks = AskForLooks(ledger, policy, self._templates, clock=clock)

    async def claim(self, due: Due) -> LastLook:
        return (await self.claim_all([due]))[0]

    async def claim_all(self, dues: Sequence[Due]) -> Sequence[LastLook]:
        """Look at each, in order, in one transaction; nothing is claimed before it is committed."""
        async with self._ledger.open_all({due.tenant_id for due in dues}, self._clock()) as books:
            # Read inside and first: waiting for a lock must not age it, and a later pause is later than it.
            now = self._clock()
            return [await self._take(books[due.tenant_id], due, now) for due in dues]

    async def _take(self, book: TenantBook, due: Due, now: datetime) -> LastLook:
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
        rules = self._policy.for_tenant(due.tenant_id)
        history = await book.history(snapshot, now, leaving=intent)
        if history.erased:
            snapshot = snapshot.without_person()
        decision = still_wanted(intent, snapshot, rules, now, history)
        if decision.verdict is not Verdict.SEND:
            return LastLook(changes=await put_aside(book, intent, snapshot, decision, now))
        lead = Member(intent, snapshot, decision)
        if not gathers(rules, intent.kind, intent.stage):
            return await self._send(book, _Leaving([lead]), rules, now)
        return await self._send_together(book, lead, history, rules, now)

    async def _send_together(
        self, book: TenantBook, lead: Member, history: History, rules: TenantPolicy, now: datetime
    ) -> LastLook:
        found = await gather(book, lead, history, rules, now)
        if not found.together:
            return LastLook(looks=found.looks, changes=found.changes)
        members = with_room(found.together, rules, self._catalogue)
        look = await self._send(book, _Leaving(members), rules, now)
        return replace(look, changes=[*found.changes, *look.changes])

    async def _send(self, book: TenantBook, leaving: _Leaving, rules: TenantPolicy, now: datetime) -> LastLook:
        intent, snapshot, name = leaving.intent, leaving.snapshot, leaving.template
        forms, without_link = await self._templates.forms(book, intent, snapshot.contact, rules, now, name=name)
        if name is None:
            message = render(snapshot, intent.kind, intent.stage, rules, forms)
        else:
            message = render_statement([member.snapshot for member in leaving.members], rules, forms)
        if message is None:
            return await _put_all_aside(book, leaving, Verdict.CANCEL, "stage_removed", None, now)
        if rule := await self._templates.why_not(book, message):
            return await _put_all_aside(book, leaving, Verdict.POSTPONE, rule, now + TEMPLATE_PATIENCE, now)
        breakers = await book.breakers(in_language(message.template, message.language))
        # Every one of them waits for the breaker, or the others would try one by one.
        if any([await stopped(book, each, breakers, now) for each in leaving.intents]):
            return LastLook()
        bill = self._rates.bill(message.to, rules.billing_currency, local_date(now, snapshot.organisation.time_zone))
        if not leaving.released and await is_over_budget(book, intent.kind, rules, bill):
            unreleased = leaving.those(released=False)
            look = await _put_all_aside(book, unreleased, Verdict.HOLD, MONTHLY_BUDGET, None, now)
            return await self._without_held(book, look, leaving, rules, now)
        if not leaving.released and (rule := await _why_held(book, rules.brake, now)):
            held, first = await book.pull_brake(now, rule)
            changes = [each.changed(MessageState.HELD, rule, now) for each in held]
            look = LastLook(changes=changes, braked=first and bool(held), held=len(held))
            return await self._without_held(book, look, leaving, rules, now)
        step = link_step(intent, snapshot, rules, forms, now, name)
        without_link = without_link or why_without_link(intent, snapshot, rules, forms, name)
        return await self._leave(book, _Ready(leaving, message, breakers, step, without_link, bill), now)

    async def _without_held(
        self, book: TenantBook, held: LastLook, leaving: _Leaving, rules: TenantPolicy, now: datetime
    ) -> LastLook:
        """What a person released goes on, alone or as a statement; the others were ``held``."""
        released = leaving.those(released=True)
        if not released.members:
            return held
        look = await self._send(book, released, rules, now)
        return replace(look, changes=[*held.changes, *look.changes], braked=held.braked, held=held.held)

    async def _leave(self, book: TenantBook, ready: _Ready, now: datetime) -> LastLook:
        intents = ready.leaving.intents
        if ready.step is LinkStep.ASK and all([await book.await_link(each, now + LINK_PATIENCE) for each in intents]):
            return LastLook(lacks_link=ready.leaving.intent.invoice_id)
        if ready.step is not LinkStep.GO:
            return LastLook()
        # Who may not try one breaker must leave nothing taken: not the probe of another, not the turn.
        async with book.tentatively() if ready.breakers else nullcontext() as undo:
            turn = await book.take_turn(ready.message.to, now)
            look = await self._claim(book, ready, now) if turn.kind is TurnKind.GO else None
            if look is not None and look.claimed is None and undo is not None:
                await undo()
        if look is not None:
            return look
        if turn.kind is TurnKind.RECIPIENT and turn.until is not None:
            for each in intents:
                await book.postpone(each, turn.until, now)
        return LastLook(not_before=turn.until if turn.kind is TurnKind.PACE else None)

    async def _claim(self, book: TenantBook, ready: _Ready, now: datetime) -> LastLook:
        leaving, message = ready.leaving, ready.message
        intent, intents = leaving.intent, leaving.intents
        template = in_language(message.template, message.language)
        attempt = Attempt(
            self._new_reference(),
            intent.intent_id,
            intent.tenant_id,
            message.to,
            template,
            leaving.released,
            ready.bill,
        )
        for breaker in ready.breakers:
            if not await book.take_probe(breaker, attempt.reference, now):
                return LastLook()
        if not await book.claim(intent, attempt, now, intents[1:]):
            return LastLook()
        if ready.without_link:
            for member in leaving.members:
                decision = Decision(intent.kind, member.intent.stage, Verdict.SEND, ready.without_link, now)
                await book.record(member.snapshot, decision, now)
        return LastLook(Claimed(attempt, message, max(each.tries for each in intents) + 1, now))

    async def ask_again(self, stale: Sequence[Due]) -> tuple[Sequence[Look], Sequence[MessageChangedV1]]:
        """Requests for fresh snapshots, and the cancellations of what time alone has made pointless."""
        return await self._ask_for_looks(stale)


async def _put_all_aside(
    book: TenantBook, leaving: _Leaving, verdict: Verdict, rule: str, due_at: datetime | None, now: datetime
) -> LastLook:
    changes: list[MessageChangedV1] = []
    for member in leaving.members:
        decision = Decision(member.intent.kind, member.intent.stage, verdict, rule, due_at)
        changes += await put_aside(book, member.intent, member.snapshot, decision, now)
    return LastLook(changes=changes)


async def _why_held(book: TenantBook, brake: Brake, now: datetime) -> str | None:
    wave = await book.wave(now, most=brake.per_tenant_per_hour, most_everywhere=brake.per_installation_per_hour)
    small = wave.sent + wave.waiting <= brake.usual_floor
    return why_held(wave, brake, 0 if small or not brake.usual_times else await book.busiest_hour(now))
