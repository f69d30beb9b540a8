"""A year of one organisation in virtual time: Xero's books, webhooks and scans on one side, the sender on the other."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from notifier.catalogue import Catalogue, load_catalogue
from notifier.intake import Intake
from notifier.last_look import LookLast
from notifier.model import Intent, Tenant
from notifier.ports import Due, TemplateMessage
from shared.contracts.invoices import CauseKind, InvoiceEnrichedV1
from shared.contracts.messages import MessageState
from shared.policy import Policy
from support.builders import make_enriched
from support.memory_ledger import MemoryBook, MemoryLedger
from support.year_books import START, Account, Organisation, scan_moment

FRESH = timedelta(minutes=10)


@dataclass(frozen=True)
class Post:
    """A message that left, of several ``accounts`` when it is a statement; ``said`` is by parameter."""

    at: datetime
    accounts: tuple[Account, ...]
    kind: str
    stages: tuple[int | None, ...]
    to: str
    language: str
    said: dict[str, str]

    @property
    def account(self) -> Account:
        return self.accounts[0]


class Year:
    """Plays one organisation's books against the real decisions; ``posts`` is what left."""

    def __init__(self, organisation: Organisation, days: int, seed: int) -> None:
        self.organisation = organisation
        self.posts: list[Post] = []
        self._days = days
        self._rng = Random(seed)
        self.now = START
        self._turn = 0
        self._agenda: list[tuple[datetime, int, Callable[[], Any]]] = []
        self.book = MemoryBook(Tenant(organisation.tenant_id, START - timedelta(days=900), announced=True, lost=False))
        policy = Policy.model_validate({"tenants": {organisation.tenant_id: organisation.policy}})
        ledger: Any = MemoryLedger(self.book)
        numbers = count()
        self._intake = Intake(ledger, policy, clock=self._clock, wake=lambda: None, count=lambda _: None)
        self._look = LookLast(
            ledger, policy, _catalogue(), clock=self._clock, new_reference=lambda: f"ref-{next(numbers)}"
        )
        self._accounts = {account.invoice_id: account for account in organisation.accounts}

    def _clock(self) -> datetime:
        return self.now

    def _at(self, moment: datetime, action: Callable[[], Any]) -> None:
        self._turn += 1
        heapq.heappush(self._agenda, (moment, self._turn, action))

    async def play(self) -> None:
        rng, zone = self._rng, ZoneInfo(self.organisation.zone)
        for day in range(self._days):
            date = (START + timedelta(days=day)).astimezone(zone).date()
            self._at(scan_moment(date, self.organisation), self._scan)
            if rng.random() < 0.3:  # somebody asks for another one by hand
                self._at(START + timedelta(days=day + rng.random()), self._scan)
        for account in self.organisation.accounts:
            for place, since in enumerate(account.since):
                if rng.random() < 0.3:  # and who changes an invoice wants to see what comes of it
                    self._at(since + timedelta(minutes=rng.uniform(0, 60)), self._scan)
                self._at(since + timedelta(hours=rng.uniform(0, 1)), partial(self._poll, account))
                if rng.random() < 0.9:  # the others get lost
                    told = since + timedelta(minutes=rng.uniform(0, 10))
                    self._at(told, partial(self._webhook, account, since, "UPDATE" if place else "CREATE"))
        for phone, moment in self.organisation.stops.items():
            self._at(moment, partial(self._stop, phone))
        end = START + timedelta(days=self._days)
        while self._agenda and self._agenda[0][0] < end:
            self.now, _, action = heapq.heappop(self._agenda)
            await action()

    async def _scan(self) -> None:
        for account in self.organisation.accounts:
            state = account.at(self.now)
            if state and state["status"] == "AUTHORISED":
                await self._take_in(account, {"kind": CauseKind.SCAN})

    async def _webhook(self, account: Account, happened_at: datetime, what: str) -> None:
        await self._take_in(account, {"kind": CauseKind.WEBHOOK, "event_type": what, "event_at": happened_at})

    async def _poll(self, account: Account) -> None:
        await self._take_in(account, {"kind": CauseKind.RECONCILE})

    async def _stop(self, phone: str) -> None:
        self.book.opted_out.add(phone)

    async def _take_in(self, account: Account, cause: dict[str, Any]) -> None:
        state = account.at(self.now)
        if state is None:
            return
        await self._intake(_enriched(self.organisation, account, state, self.now, cause), "c")
        planned, self.book.newly_planned = self.book.newly_planned, []
        for intent in planned:
            self._send_later(intent.intent_id, max(intent.due_at, self.now))

    def _send_later(self, intent_id: str, moment: datetime) -> None:
        self._at(moment + timedelta(seconds=self._rng.uniform(0, 3)), lambda: self._send(intent_id))

    async def _send(self, intent_id: str) -> None:
        intent = self._intent(intent_id)
        if intent.state is not MessageState.PLANNED or intent.due_at > self.now:
            return
        if self.now - self.book.snapshots[intent.invoice_id].read_at > FRESH:
            await self._take_in(self._accounts[intent.invoice_id], {"kind": CauseKind.LOOK})
            self._at(self.now + timedelta(seconds=self._rng.uniform(0, 60)), lambda: self._send(intent_id))
            return
        looked = await self._look.claim(
            Due(intent_id, self.organisation.tenant_id, intent.invoice_id, None, stale=False)
        )
        for look in looked.looks:
            for invoice_id in look.request.invoice_ids:
                await self._take_in(self._accounts[invoice_id], {"kind": CauseKind.LOOK})
        if looked.looks:
            self._send_later(intent_id, self.now)
            return
        if looked.claimed is None:
            after = self._intent(intent_id)
            if after.state is MessageState.PLANNED:
                self._send_later(intent_id, after.due_at)
            return
        together = [
            each for each in self.book.intents.values() if each.statement == looked.claimed.attempt.reference
        ] or [self._intent(intent_id)]
        self._answer(together, looked.claimed.message)

    def _answer(self, together: Sequence[Intent], message: TemplateMessage) -> None:
        """What WhatsApp says, of all that the message told of; a refusal reached nobody."""
        fate, state = self._rng.random(), MessageState.DELIVERED
        if fate < 0.03:
            later = self.now + timedelta(minutes=self._rng.uniform(1, 600))
            for each in together:
                self.book.change(each, state=MessageState.PLANNED, due_at=later)
                self._send_later(each.intent_id, later)
            return
        if fate < 0.05:
            state = MessageState.FAILED
        elif fate < 0.08:
            state = MessageState.UNKNOWN
        self.settle(together, state)
        if state is MessageState.FAILED:
            return
        self._post(together, message)

    def _post(self, together: Sequence[Intent], message: TemplateMessage) -> None:
        told = self.told_of(message, together)
        self.posts.append(
            Post(
                self.now,
                tuple(self._accounts[each.invoice_id] for each in told),
                told[0].kind.value,
                tuple(each.stage for each in told),
                message.to,
                message.language,
                dict(message.parameters),
            )
        )

    def settle(self, together: Sequence[Intent], state: MessageState) -> None:
        for each in together:
            self.book.change(each, state=state)

    def told_of(self, message: TemplateMessage, together: Sequence[Intent]) -> Sequence[Intent]:
        """The reminders that the customer reads of."""
        return together

    def _intent(self, intent_id: str) -> Intent:
        return self.book.intents[self.book.by_id[intent_id]]


@lru_cache(maxsize=1)
def _catalogue() -> Catalogue:
    return load_catalogue(Path(__file__).parents[2] / "config" / "policy.yaml")


def _enriched(
    organisation: Organisation, account: Account, state: dict[str, Any], now: datetime, cause: dict[str, Any]
) -> InvoiceEnrichedV1:
    person, left = account.person, state["total"] - state["paid"] - state["credited"]
    alone = cause["kind"] is CauseKind.WEBHOOK
    return make_enriched(
        tenant_id=organisation.tenant_id,
        invoice={
            "invoice_id": account.invoice_id,
            "number": account.invoice_id,
            "status": state["status"],
            "total": Decimal(state["total"]),
            "amount_due": Decimal(left),
            "currency": account.currency,
            "amount_paid": Decimal(state["paid"]),
            "amount_credited": Decimal(state["credited"]),
            "issued_on": state["issued_on"],
            "due_on": state["due_on"],
            "expected_payment_on": state["promised"],
            "updated_at": now.astimezone(UTC),
        },
        contact={
            "contact_id": person.contact_id,
            "name": person.name,
            "phone": person.phone,
            "groups": None if alone else tuple({"group_id": f"id {name}", "name": name} for name in person.groups),
        },
        organisation={"time_zone": organisation.zone, "country": organisation.country},
        read_at=now,
        cause=cause,
    )
