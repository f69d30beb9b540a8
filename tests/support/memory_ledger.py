"""The ledger in memory, for what takes years of virtual time: the same answers as the SQL one, nothing kept."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from notifier.account_templates import TemplateState
from notifier.halts import CLAIM_SPACING, OpenBreaker
from notifier.model import MONTH, WEEK, Decision, History, Intent, Snapshot, Tenant, Verdict
from notifier.ports import Attempt, Sibling, Turn, TurnKind, Wave
from shared.contracts.messages import MessageChangedV1, MessageKind, MessageState

Key = tuple[str, MessageKind, int | None]


class MemoryBook:
    """One organisation's; see :class:`notifier.ports.TenantBook`. ``same_person`` is who shares a cap."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self.snapshots: dict[str, Snapshot] = {}
        self.intents: dict[Key, Intent] = {}
        self.phones: dict[str, str | None] = {}
        self.by_id: dict[str, Key] = {}
        self.judged: set[str] = set()
        self.gathering: set[str] = set()
        self.opted_out: set[str] = set()
        self.rules: Counter[str] = Counter()
        self.newly_planned: list[Intent] = []
        self._last_to: dict[str, datetime] = {}
        self._left: list[datetime] = []
        self.same_person: Callable[[Intent, Snapshot], bool] = self._same_person

    def _same_person(self, intent: Intent, snapshot: Snapshot) -> bool:
        phone = snapshot.contact.phone
        return intent.contact_id == snapshot.contact.contact_id or (
            phone is not None and self.phones[intent.intent_id] == phone
        )

    async def tenant(self) -> Tenant:
        return self._tenant

    async def establish(self, connected_at: datetime) -> None: ...
    async def lose(self, lost_at: datetime) -> None: ...

    async def snapshot(self, invoice_id: str) -> Snapshot | None:
        return self.snapshots.get(invoice_id)

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        self.snapshots[snapshot.invoice.invoice_id] = snapshot
        for intent in [
            i
            for i in self.intents.values()
            if i.invoice_id == snapshot.invoice.invoice_id and (i.looks or i.look_after)
        ]:
            self.change(intent, looks=0, look_after=None)

    async def history(self, snapshot: Snapshot, now: datetime, *, leaving: Intent | None = None) -> History:
        invoice_id, messages, gathered = snapshot.invoice.invoice_id, dict[object, datetime](), []
        for intent in self.intents.values():
            if intent.kind is not MessageKind.REMINDER or not self.same_person(intent, snapshot):
                continue
            if intent.left and intent.claimed_at and intent.claimed_at > now - MONTH:
                if leaving is None or intent.intent_id != leaving.intent_id:
                    messages[intent.statement or intent.intent_id] = intent.claimed_at
            elif leaving is None and intent.state is MessageState.PLANNED and intent.invoice_id != invoice_id:
                person = (intent.contact_id, self.phones[intent.intent_id])
                gathers = intent.intent_id in self.gathering
                messages[person if gathers else intent.intent_id] = now if gathers else intent.claimed_at or now
                if gathers and person == (snapshot.contact.contact_id, snapshot.contact.phone):
                    gathered.append(intent.due_at)
        moments = messages.values()
        own = sorted((i for i in self.intents.values() if i.invoice_id == invoice_id), key=lambda i: i.due_at)
        return History(
            tenant=self._tenant,
            intents=tuple(own),
            issue_judged=invoice_id in self.judged,
            opted_out=snapshot.contact.phone in self.opted_out,
            reminders_this_week=sum(moment > now - WEEK for moment in moments),
            reminders_this_month=len(moments),
            gathers_until=min(gathered, default=None),
        )

    async def record(self, snapshot: Snapshot, decision: Decision, now: datetime) -> None:
        self.rules[decision.rule] += 1
        if decision.kind is MessageKind.ISSUED and decision.rule not in {"not_issued", "groups_unknown"}:
            self.judged.add(snapshot.invoice.invoice_id)

    async def plan(
        self, snapshot: Snapshot, decision: Decision, state: MessageState, now: datetime, correlation_id: str | None
    ) -> Intent | None:
        key = (snapshot.invoice.invoice_id, decision.kind, decision.stage)
        known = self.intents.get(key)
        if known and not known.revivable:
            return None
        intent = Intent(
            intent_id=known.intent_id if known else f"intent-{len(self.intents)}",
            tenant_id=self._tenant.tenant_id,
            invoice_id=snapshot.invoice.invoice_id,
            invoice_number=snapshot.invoice.number,
            contact_id=snapshot.contact.contact_id,
            kind=decision.kind,
            stage=decision.stage,
            state=state,
            reason=None if decision.verdict is Verdict.PLAN else decision.rule,
            due_on=snapshot.invoice.due_on,
            due_at=decision.due_at or now,
            created_at=known.created_at if known else now,
            claimed_at=None,
            released=known.released if known else False,
            tries=0,
            correlation_id=correlation_id,
        )
        self.intents[key], self.by_id[intent.intent_id] = intent, key
        self.phones[intent.intent_id] = snapshot.contact.phone
        (self.gathering.add if decision.gathers else self.gathering.discard)(intent.intent_id)
        self.newly_planned.append(intent)
        return intent

    async def intent(self, intent_id: str) -> Intent | None:
        return self.intents.get(self.by_id[intent_id])

    async def intent_about(self, invoice_id: str, kind: MessageKind, stage: int | None) -> Intent | None:
        return self.intents.get((invoice_id, kind, stage))

    async def move(self, intent: Intent, state: MessageState, reason: str | None, now: datetime) -> bool:
        return self.change(intent, state=state, reason=reason)

    async def spent(self, on: date, currency: str) -> Decimal:
        return Decimal(0)

    async def held_for(self, rule: str, limit: int) -> Sequence[tuple[Intent, str | None]]:
        return ()

    async def tell(self, changes: Sequence[MessageChangedV1], correlation_id: str | None) -> None: ...

    async def postpone(self, intent: Intent, due_at: datetime, now: datetime) -> None:
        self.change(intent, due_at=due_at)

    async def ask_again(self, intent: Intent, look_after: datetime) -> bool:
        return self.change(intent, looks=intent.looks + 1, look_after=look_after)

    async def await_link(self, intent: Intent, until: datetime) -> bool:
        return self.change(intent, link_until=until)

    async def siblings(self, intent: Intent, contact_id: str, now: datetime, limit: int) -> Sequence[Sibling]:
        found = [
            each
            for each in self.intents.values()
            if (each.contact_id, each.kind, each.state) == (contact_id, MessageKind.REMINDER, MessageState.PLANNED)
            and (each.stage or 0) > 0
            and each.due_at <= now
            and each.intent_id != intent.intent_id
        ]
        found.sort(key=lambda each: (each.due_on or now.date(), each.intent_id))
        return [
            Sibling(
                each,
                self.snapshots[each.invoice_id],
                tuple(other for other in self.intents.values() if other.invoice_id == each.invoice_id),
            )
            for each in found[:limit]
        ]

    async def hold_off(self, intents: Sequence[Intent], until: datetime) -> None:
        for intent in intents:
            self.change(intent, look_after=until)

    async def claim(self, intent: Intent, attempt: Attempt, now: datetime, others: Sequence[Intent] = ()) -> bool:
        together = (intent, *others)
        if any(self.intents[self.by_id[each.intent_id]].state is not MessageState.PLANNED for each in together):
            return False
        self._last_to[attempt.phone] = now
        self._left.append(now)
        for each in together:
            self.phones[each.intent_id] = attempt.phone
            went = {
                "statement": attempt.reference if others else None,
                "statement_of": len(together) if others else None,
            }
            self.change(each, state=MessageState.SENDING, claimed_at=now, tries=each.tries + 1, **went)
        return True

    def change(self, intent: Intent, **values: object) -> bool:
        key = self.by_id[intent.intent_id]
        if self.intents[key].state is not intent.state:
            return False
        self.intents[key] = replace(self.intents[key], **values)  # type: ignore[arg-type]  # fields by name
        return True

    async def template(self, account: str, name: str, language: str) -> TemplateState | None:
        return None

    async def is_paused(self) -> bool:
        return False

    async def breakers(self, template: str | None) -> Sequence[OpenBreaker]:
        return ()

    async def let_wait(self, intent: Intent, breaker: OpenBreaker) -> None: ...

    async def take_probe(self, breaker: OpenBreaker, reference: str, now: datetime) -> bool:
        raise AssertionError("no breaker opens here")

    async def take_turn(self, phone: str, now: datetime) -> Turn:
        free_at = self._last_to.get(phone, now - CLAIM_SPACING) + CLAIM_SPACING
        return Turn(TurnKind.GO) if free_at <= now else Turn(TurnKind.RECIPIENT, free_at)

    async def wave(self, now: datetime, *, most: int, most_everywhere: int) -> Wave:
        self._left = [moment for moment in self._left if moment > now - timedelta(hours=1)]
        planned = (intent for intent in self.intents.values() if intent.state is MessageState.PLANNED)
        waits = [intent for intent in planned if intent.due_at <= now and not intent.released]
        waiting = len({i.contact_id if i.intent_id in self.gathering else i.intent_id for i in waits})
        return Wave(waiting, len(self._left), len(self._left))

    async def busiest_hour(self, now: datetime) -> int:
        return 0

    async def pull_brake(self, now: datetime) -> tuple[Sequence[Intent], bool]:
        raise AssertionError("no wave is big enough here")


class MemoryLedger:
    """One organisation's ledger as the use cases open it."""

    def __init__(self, book: MemoryBook) -> None:
        self.book = book

    @asynccontextmanager
    async def open(self, tenant_id: str, now: datetime) -> AsyncIterator[MemoryBook]:
        yield self.book

    @asynccontextmanager
    async def open_all(self, tenant_ids: Collection[str], now: datetime) -> AsyncIterator[Mapping[str, MemoryBook]]:
        yield dict.fromkeys(tenant_ids, self.book)
