"""The notifier's ledger with a long past: events decided and recorded, and messages dispatched, a second."""

import asyncio
import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
import structlog
import uvloop
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.tables import load_line
from notifier.adapters.ledger import SqlLedger
from notifier.adapters.outbox import SqlOutbox
from notifier.catalogue import load_catalogue
from notifier.intake import AT_ONCE, Arrival, Intake
from notifier.last_look import LookLast
from notifier.ports import Accepted, Outcome, Pace, TemplateMessage
from notifier.sender import Sender
from notifier.tables import intents
from notifier.telemetry import Figures, OutboxLog, SenderLog
from notifier.tell import TellChanges
from shared.contracts import Event
from shared.contracts.invoices import Cause, CauseKind, Contact, Invoice, InvoiceEnrichedV1, Organisation
from shared.policy import Policy
from shared.runtime.database import create_engine, migrate
from shared.runtime.group_commit import GroupCommit
from shared.runtime.service import Service, Stop

PAST = int(os.environ.get("BENCH_PAST", "1000000"))
EVENTS = int(os.environ.get("BENCH_EVENTS", "1000"))
TURNS = 3
TENANTS = 20
PREFETCH = Service().prefetch
PROVIDER_SECONDS = 0.1
_ROWS_AT_ONCE = 10_000
_WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
POLICY = Policy.model_validate(
    {
        "defaults": {
            "brake": {
                "hold_back_book": False,
                "usual_floor": 10**6,
                "per_tenant_per_hour": 10**6,
                "per_installation_per_hour": 10**6,
            },
            "contact_hours": {"start": "00:00", "end": "24:00", "days": _WEEK, "holidays": False},
        }
    }
)


class Slow:
    """Accepts everything, each after as long as WhatsApp takes."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._posts = 0
        self.all = asyncio.Event()

    async def send(self, _: TemplateMessage, attempt_ref: str) -> Outcome:
        await asyncio.sleep(PROVIDER_SECONDS)
        self._posts += 1
        if self._posts == self._wanted:
            self.all.set()
        return Accepted(f"wamid.{attempt_ref}")


class Nobody:
    async def publish(self, event: Event, *, deadline: float | None = None, message_id: str | None = None) -> None:
        """Nobody listens."""


def measure() -> None:
    """On SQLite in a temporary folder, or on the database that BENCH_DATABASE_URL names, which should be empty."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(prefix="duebell-bench-") as folder:
        uvloop.run(_measure(os.environ.get("BENCH_DATABASE_URL") or f"sqlite:///{folder}/ledger.db"))


async def _measure(url: str) -> None:
    engine = create_engine(url)
    try:
        await migrate(engine, "notifier")
        await _fill(engine)
        ledger, numbers = SqlLedger(engine), itertools.count()
        intake = Intake(ledger, POLICY, clock=_now, wake=lambda: None, count=lambda _: None)
        await intake(_event(next(numbers)), None)  # what is loaded and built once is not measured
        await _dispatch(engine, ledger, 1)
        for _ in range(TURNS):
            alone = await _decide(intake, [_event(next(numbers)) for _ in range(EVENTS // 4)], in_flight=1)
            together = await _decide(intake, [_event(next(numbers)) for _ in range(EVENTS)], in_flight=PREFETCH)
            unpaced = await _dispatch(engine, SqlLedger(engine, Pace(per_second=10_000)), EVENTS // 2)
            paced = await _dispatch(engine, ledger, EVENTS // 2)
            print(
                f"decided and recorded: {together:.0f} events/s with {PREFETCH} in flight, {alone:.0f} one by one "
                f"({together / alone:.1f} times as many); dispatched at {PROVIDER_SECONDS:.1f} s each: {unpaced:.0f} "
                f"messages/s without a pace, {paced:.0f} at the number's {Pace().per_second:.0f}; {load_line()}"
            )
    finally:
        await engine.dispose()


async def _decide(intake: Intake, events: Sequence[InvoiceEnrichedV1], *, in_flight: int) -> float:
    """Events a second, as the consumer has them handled: one that is done makes room for another."""
    take_in, places = GroupCommit(intake.all_of, most=AT_ONCE), asyncio.Semaphore(in_flight)

    async def handle(event: InvoiceEnrichedV1) -> None:
        async with places:
            await take_in(Arrival(event, None))

    started = perf_counter()
    await asyncio.gather(*map(handle, events))
    return len(events) / (perf_counter() - started)


async def _dispatch(engine: AsyncEngine, ledger: SqlLedger, wanted: int) -> float:
    """Messages a second, of those that are due."""
    provider, figures, nobody = Slow(wanted), Figures(CollectorRegistry()), Nobody()
    catalogue = load_catalogue(Path("config/policy.yaml"))
    look = LookLast(ledger, POLICY, catalogue, clock=_now, new_reference=lambda: uuid4().hex)
    tell = TellChanges(SqlOutbox(engine), nobody, clock=_now, log=OutboxLog(figures))
    sender = Sender(ledger, look, provider, nobody, clock=_now, log=SenderLog(figures), told=tell.wake)
    stop = Stop()
    started = perf_counter()
    sending = asyncio.gather(sender.run(stop), tell.run(stop))
    await provider.all.wait()
    seconds = perf_counter() - started
    stop.set()
    await sending
    return wanted / seconds


def _now() -> datetime:
    return datetime.now(UTC)


async def _fill(engine: AsyncEngine) -> None:
    for start in range(0, PAST, _ROWS_AT_ONCE):
        async with engine.begin() as db:
            await db.execute(sa.insert(intents), list(_past(start, min(start + _ROWS_AT_ONCE, PAST))))


def _past(start: int, end: int) -> Iterator[dict[str, Any]]:
    for number in range(start, end):
        at = _now() - timedelta(days=40, seconds=number % 86_400)
        yield {
            "intent_id": f"{number:032x}",
            "tenant_id": f"t{number % TENANTS}",
            "invoice_id": f"past-{number}",
            "invoice_number": f"P-{number}",
            "contact_id": f"c{number % 50_000}",
            "phone": f"+9198{number % 50_000:08}",
            "kind": "reminder",
            "stage": 7,
            "state": "read",
            "due_on": at.date(),
            "due_at": at,
            "created_at": at,
            "changed_at": at,
            "claimed_at": at,
            "tries": 1,
            "looks": 0,
        }


def _event(number: int) -> InvoiceEnrichedV1:
    owed = Decimal("12500.00")
    invoice: dict[str, Any] = {"total": owed, "amount_due": owed, "amount_paid": 0, "amount_credited": 0}
    return InvoiceEnrichedV1(
        tenant_id=f"t{number % TENANTS}",
        invoice=Invoice(
            **invoice,
            invoice_id=f"i{number}",
            number=f"INV-{number}",
            type="ACCREC",
            status="AUTHORISED",
            currency="INR",
            issued_on=_now().date() - timedelta(days=20),
            due_on=_now().date() - timedelta(days=8),
            expected_payment_on=None,
            updated_at=_now(),
        ),
        contact=Contact(
            contact_id=f"new-{number}", name="Asha", status="ACTIVE", phone=f"+9197{number:08}", no_phone_reason=None
        ),
        organisation=Organisation(name="Meera", time_zone="Asia/Kolkata", country="IN", base_currency="INR"),
        read_at=_now(),
        cause=Cause(kind=CauseKind.SCAN),
    )
