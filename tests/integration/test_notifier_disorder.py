"""Everything that is read of an invoice, in any order and any number: whoever had paid is not reminded."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from notifier.model import Snapshot
from notifier.ports import Outcome, TemplateMessage
from notifier.still_wanted import FRESH_FOR
from proof.figures import report
from shared.contracts.invoices import CauseKind, InvoiceEnrichedV1
from shared.contracts.messages import MessageKind
from shared.contracts.scans import InvoiceLookRequestedV1
from support.builders import make_enriched
from support.notifier import UNBRAKED, FakeProvider, World, world
from support.sizes import rounds

ORDERS = rounds(1000, 50)
AT_ONCE = 25
"""Invoices whose readings are mixed with each other."""
PAID: dict[str, Any] = {"status": "PAID", "amount_due": 0, "amount_paid": 12500}
VOIDED: dict[str, Any] = {"status": "VOIDED"}
OPEN: dict[str, Any] = {}


@dataclass
class Life:
    """An invoice: what it was from which moment on."""

    number: int
    base: datetime
    changes: list[tuple[datetime, str, dict[str, Any]]]

    @property
    def phone(self) -> str:
        return f"+91987654{self.number:04}"

    def read(self, at: datetime, cause: CauseKind, event_type: str | None = None) -> InvoiceEnrichedV1:
        """As Xero would have told it at that moment."""
        so_far = [change for moment, _, change in self.changes if moment <= at]
        merged: dict[str, Any] = {"invoice_id": f"i{self.number}", "due_on": self.base.date() - timedelta(days=7)}
        for change in so_far:
            merged |= change
        contact = {"contact_id": f"c{self.number}", "phone": self.phone}
        told = {"kind": cause, "event_type": event_type, "event_at": at if event_type else None}
        return make_enriched(invoice=merged, contact=contact, cause=told, read_at=at)


def lived(number: int, base: datetime, chance: random.Random) -> Life:
    """Issued just before ``base``; within a quarter of an hour it may be changed, paid and voided."""

    def soon() -> datetime:
        return base + timedelta(seconds=chance.randint(0, 900))

    changes = [(base - timedelta(minutes=chance.randint(1, 5)), "CREATE", OPEN)]
    for _ in range(chance.randint(0, 2)):
        due: dict[str, Any] = {"due_on": base.date() - timedelta(days=chance.choice([3, 7, 14]))}
        changes.append((soon(), "UPDATE", due))
    if chance.random() < 0.7:
        changes.append((soon(), "UPDATE", chance.choice([PAID, PAID, VOIDED])))
    return Life(number, base, sorted(changes, key=lambda change: change[0]))


@dataclass
class Watched(FakeProvider):
    """Holds every POST against the newest reading that was taken in by then."""

    notifier: World
    known: dict[str, Snapshot] = field(default_factory=dict)
    gaps: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def send(self, message: TemplateMessage, attempt_ref: str) -> Outcome:
        snapshot = self.known[message.to]
        if not message.template.startswith("invoice_paid") and snapshot.invoice.status != "AUTHORISED":
            self.wrong.append(f"{message.template} of an invoice that was {snapshot.invoice.status} when last read")
        self.gaps.append((self.notifier.clock.now - snapshot.read_at).total_seconds())
        return await super().send(message, attempt_ref)


@pytest.mark.timeout(600)
async def test_whoever_had_paid_before_the_last_reading_is_not_reminded(tmp_path: Path) -> None:
    chance = random.Random(20260623)
    async with world(f"sqlite:///{tmp_path}/ledger.db", UNBRAKED) as notifier:
        provider = Watched(notifier)
        notifier.provider = provider
        notifier.sender = notifier.another_sender()
        reminded = late = 0
        for first in range(0, ORDERS, AT_ONCE):
            lives = [lived(number, notifier.clock.now, chance) for number in range(first, min(first + AT_ONCE, ORDERS))]
            await play(notifier, provider, lives, chance)
        for message, _ in provider.posts:
            reminded += message.template.startswith(("invoice_due", "invoice_overdue"))
        for row in await notifier.rows():
            late += row.kind == MessageKind.REMINDER.value and row.state == "cancelled"
        assert provider.wrong == []
        assert reminded > ORDERS / 10
        assert late > 0, "none was paid while their reminder waited"
        assert max(provider.gaps) <= FRESH_FOR.total_seconds()
        report("disorder", orders=ORDERS, reminded=reminded, kept_back=late, longest_gap_s=max(provider.gaps))


async def play(notifier: World, provider: Watched, lives: list[Life], chance: random.Random) -> None:
    """Every reading of every invoice comes in an order of its own, some twice, while time passes and senders run."""
    base = notifier.clock.now
    came: list[InvoiceEnrichedV1] = []
    for life in lives:
        for moment, event_type, _ in life.changes:
            lag = timedelta(seconds=chance.randint(0, 120))
            came.append(life.read(moment + lag, CauseKind.WEBHOOK, event_type))
        came += [life.read(base + timedelta(seconds=chance.randint(0, 900)), CauseKind.SCAN) for _ in range(2)]
    came += chance.sample(came, len(came) // 4)
    chance.shuffle(came)
    notifier.clock.now = base + timedelta(seconds=1020)
    asked = len(notifier.events.of(InvoiceLookRequestedV1))
    for position, event in enumerate(came):
        await take_in(notifier, provider, event)
        if position % 10 == 9:
            notifier.clock.forward(seconds=chance.randint(1, 60))
            await notifier.sender.run_once()
            asked = await answer_looks(notifier, provider, lives, asked, chance)
    for _ in range(3):
        notifier.clock.forward(seconds=61)
        await notifier.sender.run_once()
        asked = await answer_looks(notifier, provider, lives, asked, chance)
    await notifier.sender.run_once()


async def answer_looks(notifier: World, provider: Watched, lives: list[Life], asked: int, chance: random.Random) -> int:
    """Each invoice is read when it is asked for; the answers come in any order."""
    requests = notifier.events.of(InvoiceLookRequestedV1)
    wanted = [invoice for request in requests[asked:] for invoice in request.invoice_ids]
    chance.shuffle(wanted)
    by_id = {f"i{life.number}": life for life in lives}
    for invoice in wanted:
        if invoice in by_id:
            await take_in(notifier, provider, by_id[invoice].read(notifier.clock.now, CauseKind.LOOK))
    return len(requests)


async def take_in(notifier: World, provider: Watched, event: InvoiceEnrichedV1) -> None:
    snapshot, phone = Snapshot.of(event), event.contact.phone
    assert phone is not None
    provider.known[phone] = snapshot.after(provider.known.get(phone))
    await notifier.take_in(event)
