"""The ledger as a forecast carries it forward in memory: what is planned and what would have left counts later on."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from notifier.gathering import gathers
from notifier.halts import Halts
from notifier.model import MONTH, WEEK, Decision, History, Intent, Snapshot, Tenant, Verdict
from shared.contracts.messages import MessageKind, MessageState
from shared.policy import TenantPolicy

Key = tuple[str, MessageKind, int | None]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the ledger knows of one organisation. ``phones`` and ``waits_for`` are by intent id.

    ``snapshots`` are of the invoices that are owed or have a message waiting; ``settled`` counts the others.
    ``intents`` are of those invoices, and the reminders that left within a month. ``opted_out`` are numbers.
    """

    tenant: Tenant
    snapshots: tuple[Snapshot, ...]
    settled: int
    intents: tuple[Intent, ...]
    phones: Mapping[str, str | None]
    waits_for: Mapping[str, str]
    opted_out: frozenset[str] = frozenset()
    halts: Halts = field(default_factory=Halts)
    busiest_hour: int = 0
    braked_at: datetime | None = None


class ForecastBook:
    """Answers what :class:`notifier.ports.TenantBook` would, were the forecast so far what had happened."""

    def __init__(self, facts: Facts, rules: TenantPolicy) -> None:
        self._rules = rules
        self._tenant = facts.tenant
        self._opted_out = facts.opted_out
        self._phones = dict(facts.phones)
        self._intents: dict[Key, Intent] = {}
        self._planned: set[Key] = set()
        self._departures = [
            item.claimed_at for item in facts.intents if item.left and item.claimed_at and not item.released
        ]
        self._of_invoice: dict[str, set[Key]] = defaultdict(set)
        self._of_person: dict[str, set[Key]] = defaultdict(set)
        for intent in facts.intents:
            self._put(intent, facts.phones.get(intent.intent_id))

    def _put(self, intent: Intent, phone: str | None) -> None:
        key = (intent.invoice_id, intent.kind, intent.stage)
        self._intents[key] = intent
        self._note_state(key, intent)
        self._phones[intent.intent_id] = phone
        self._of_invoice[intent.invoice_id].add(key)
        if intent.kind is MessageKind.REMINDER:
            self._of_person[intent.contact_id].add(key)
            if phone is not None:
                self._of_person[phone].add(key)

    def planned_unreleased(self) -> list[tuple[Key, Intent]]:
        return [(key, self._intents[key]) for key in sorted(self._planned, key=str) if not self._intents[key].released]

    def wave(self, now: datetime, since: datetime) -> tuple[int, int]:
        """How many wait at ``now`` and how many left after ``since``, what a person released not counted."""
        planned = map(self._intents.__getitem__, self._planned)
        waiting = sum(intent.due_at <= now and not intent.released for intent in planned)
        return waiting, sum(moment > since for moment in self._departures)

    def find(self, key: Key) -> Intent | None:
        return self._intents.get(key)

    def change(self, key: Key, **values: object) -> Intent:
        changed = replace(self._intents[key], **values)  # type: ignore[arg-type]  # fields by name
        self._intents[key] = changed
        self._note_state(key, changed)
        return changed

    def _note_state(self, key: Key, intent: Intent) -> None:
        if intent.state is MessageState.PLANNED:
            self._planned.add(key)
        else:
            self._planned.discard(key)

    def plan(self, snapshot: Snapshot, decision: Decision, state: MessageState, now: datetime) -> Key | None:
        """The one intent of this kind and stage; None when there is one already that cannot be revived."""
        key = (snapshot.invoice.invoice_id, decision.kind, decision.stage)
        known = self._intents.get(key)
        if known is not None and not known.revivable:
            return None
        intent = Intent(
            intent_id=known.intent_id if known else f"forecast-{len(self._intents)}",
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
            correlation_id=None,
        )
        self._put(intent, snapshot.contact.phone)
        return key

    def left(self, key: Key, phone: str | None, at: datetime) -> Intent:
        """The message was claimed, to ``phone``."""
        intent = self.change(
            key,
            state=MessageState.DELIVERED,
            claimed_at=at,
            reason=None,
            statement=self._statement(self._intents[key], at),
        )
        self._put(intent, phone)
        if not intent.released:
            self._departures.append(at)
        return intent

    def history(self, snapshot: Snapshot, now: datetime, *, leaving: Intent | None = None) -> History:
        """See :meth:`notifier.ports.TenantBook.history`."""
        invoice_id, contact = snapshot.invoice.invoice_id, snapshot.contact
        keys = set(self._of_person.get(contact.contact_id, ()))
        if contact.phone is not None:
            keys |= self._of_person.get(contact.phone, set())
        messages: dict[object, datetime] = {}
        gathered = []
        own_message = self._statement(leaving, now) if leaving else None
        for intent in map(self._intents.__getitem__, keys):
            if not self._is_of(intent, snapshot):
                continue
            if intent.left:
                other = leaving is None or (
                    intent.intent_id != leaving.intent_id and (own_message is None or intent.statement != own_message)
                )
                if other and intent.claimed_at is not None and intent.claimed_at > now - MONTH:
                    messages[intent.statement or intent.intent_id] = intent.claimed_at
            elif leaving is None and intent.state is MessageState.PLANNED and intent.invoice_id != invoice_id:
                if not self._gathers(intent):
                    messages[intent.intent_id] = intent.claimed_at or now
                    continue
                person = (intent.contact_id, self._phones.get(intent.intent_id))
                messages[person] = now
                if person == (contact.contact_id, contact.phone):
                    gathered.append(intent.due_at)
        moments = messages.values()
        own = sorted(map(self._intents.__getitem__, self._of_invoice.get(invoice_id, ())), key=lambda item: item.due_at)
        return History(
            tenant=self._tenant,
            intents=tuple(own),
            issue_judged=True,
            opted_out=contact.phone in self._opted_out,
            reminders_this_week=sum(moment > now - WEEK for moment in moments),
            reminders_this_month=len(moments),
            gathers_until=min(gathered, default=None),
        )

    def _gathers(self, intent: Intent) -> bool:
        return gathers(self._rules, intent.kind, intent.stage)

    def _statement(self, intent: Intent, at: datetime) -> str | None:
        """What leaves for one contact at one moment is one message."""
        return f"{intent.contact_id} {at.isoformat()}" if self._gathers(intent) else None

    def _is_of(self, intent: Intent, snapshot: Snapshot) -> bool:
        """Whether a cap counts the intent for this person; its number may be another than when it was planned."""
        phone = snapshot.contact.phone
        return intent.contact_id == snapshot.contact.contact_id or (
            phone is not None and self._phones.get(intent.intent_id) == phone
        )
