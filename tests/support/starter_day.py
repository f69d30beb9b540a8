"""A tenant whose day of calls is spent: all that decides about it, real, around the sandbox's books in moved time.

Real are the limiter with its Redis, the reading, the scheduler, the notifier with its ledger, and the rules by which a
message waits; the broker is a heap of messages by when they come, and Xero is the sandbox, which judges.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from fetcher.adapters.calls import XeroCalls
from fetcher.adapters.contact_cache import RedisContactCache
from fetcher.adapters.cursors import RedisCursors
from fetcher.adapters.limiter import CallLimiter, Limits
from fetcher.adapters.link_cache import RedisLinkCache
from fetcher.adapters.organisation_cache import RedisOrganisationCache
from fetcher.adapters.pacing import SweepPacing
from fetcher.adapters.served_scans import RedisServedScans
from fetcher.adapters.webhook_records import RedisWebhookRecords
from fetcher.adapters.xero import Xero
from fetcher.arrivals import Arrivals
from fetcher.contacts import ContactDirectory
from fetcher.gatherer import Gatherer
from fetcher.looks import LookAtInvoices
from fetcher.metrics import FetcherMetrics
from fetcher.online_links import OnlineLinks
from fetcher.organisations import OrganisationDirectory
from fetcher.pacing import PacedScans
from fetcher.poll_account import PollAccount
from fetcher.purposes import Purpose
from fetcher.readings import InvoiceReader, Reading
from fetcher.scans import ScanTenant
from fetcher.scans_once import ScansOnce
from fetcher.shares import TenantShares
from sandbox import use_cases
from sandbox.app import create_app
from sandbox.books import Invoice
from sandbox.orders import NewContact, NewInvoice
from sandbox.settings import Settings
from sandbox.world import World as Sandbox
from scheduler.adapters.claims import RedisClaims
from scheduler.tick import Tick
from shared.contracts import (
    Event,
    InvoiceEnrichedV1,
    InvoiceLookRequestedV1,
    ScanRequestedV1,
    XeroEventReceivedV1,
)
from shared.contracts.invoices import CauseKind
from shared.runtime.outcomes import Bury, Delay, outcome_of
from support.moved_time import MovedTime
from support.notifier import FRESH, World, world
from unit.fetcher.virtual_days import Consented
from unit.scheduler.fakes import FakeConnections, FakePace, FakeZones

INDIA = ZoneInfo("Asia/Kolkata")
TENANT = "00000000-0000-4000-8000-000000000013"
"""Xero ends its day at 20:00 UTC, half past one in India."""
BEGIN = datetime(2026, 6, 22, 20, 0, tzinfo=UTC)
TODAY = date(2026, 6, 23)
PER_DAY = 1000
TICK = timedelta(minutes=10)
"""Of the scheduler and of the sender: no longer than a snapshot stays fresh."""
_CONTACT_HOURS = range(9, 19)
"""Of the shipped policy: at other times the sender would find nothing that may leave."""
_CONNECTED_AT = BEGIN - timedelta(days=30, minutes=28)
"""With the tenant's share of the polls' spread, whatever it is: polled at the tick of minute 40, India's 10."""


@dataclass(order=True)
class Message:
    """One on its way: ``at`` is when it comes; the rest is as its headers have it."""

    at: datetime
    number: int
    body: Event = field(compare=False)
    first_seen: datetime = field(compare=False)
    attempts: int = field(default=0, compare=False)
    reason: str = field(default="", compare=False)


class StarterDay:
    """``calls`` are those that Xero answered: when, for what purpose, of which endpoint; ``refused`` the others.

    ``parked`` says when Xero said that the day is spent, ``found`` when each version of an invoice was first published.
    """

    def __init__(self, time: MovedTime, notifier: World) -> None:
        self.time, self.notifier = time, notifier
        self.calls: list[tuple[datetime, Purpose, str]] = []
        self.refused = 0
        self.parked: list[datetime] = []
        self.buried: list[tuple[str, Event]] = []
        self.most_attempts = 0
        self.found: dict[tuple[str, datetime | None], datetime] = {}
        self._heap: list[Message] = []
        self._numbers = count()
        self._next_tick = BEGIN
        self.registry = CollectorRegistry()
        self._open_books()
        self._compose()

    def _open_books(self) -> None:
        app = create_app(clock=self.time)
        self.xero: Sandbox = app.state.world
        self.xero.reset(Settings(calls_per_day=PER_DAY, token_life=30 * 86400))
        self.xero.books.add_organisation("Asha Traders", "IN", "INDIASTANDARDTIME", "INR", TENANT)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://xero")

    def _compose(self) -> None:
        time, redis = self.time, self.time.redis
        figures = FetcherMetrics(self.registry, PER_DAY)
        limits = Limits(per_minute=60, concurrent=5, per_day=PER_DAY)
        # Nobody waits in a process while time stands still: the ladder is where all waiting is seen.
        self.limiter = CallLimiter(redis, limits, refused=figures.refused, longest_wait_seconds=0)
        calls = XeroCalls(self.http, Consented(self.xero, [TENANT]), self.limiter, time, _Told(self, figures))
        xero = {purpose: Xero(calls, lambda _: None, purpose) for purpose in Purpose}
        cache = RedisContactCache(redis)
        contacts = {purpose: ContactDirectory(xero[purpose], cache, time) for purpose in Purpose}
        self.organisations = OrganisationDirectory(
            xero[Purpose.LOOK], RedisOrganisationCache(redis), self.publish, time
        )
        reader = {purpose: InvoiceReader(xero[purpose], contacts[purpose], self.organisations) for purpose in Purpose}
        gatherer = partial(Gatherer[Reading], linger_seconds=0, pause_seconds=0)
        records = RedisWebhookRecords(redis, time)
        self.arrivals = Arrivals(records, figures.found_by_webhook)
        links = OnlineLinks(xero[Purpose.SWEEP], RedisLinkCache(redis), figures.link)
        self._look = LookAtInvoices(
            gatherer(reader[Purpose.EVENT].read),
            gatherer(partial(reader[Purpose.LOOK].read, contacts_anew=True)),
            contacts[Purpose.EVENT],
            links,
            figures.ignored,
            self.arrivals,
        )
        account = PollAccount(records, time, figures.found_by_poll_only)
        self.cursors = RedisCursors(redis)
        scan = ScanTenant(xero[Purpose.SWEEP], reader[Purpose.SWEEP], self.organisations, self.cursors, time, account)
        pacing = SweepPacing(redis, self.limiter.day_left, PER_DAY, figures.put_off)
        self._scans = ScansOnce(PacedScans(scan, pacing), RedisServedScans(redis))
        self._shares = TenantShares(100)
        connected = FakeConnections(_CONNECTED_AT, TENANT)
        self._tick = Tick(connected, FakeZones(TENANT), FakePace(), RedisClaims(redis, 0), self, FRESH)

    async def publish(self, event: Event, *, deadline: float | None = None) -> None:
        """The broker, and what each consumer of it does."""
        if isinstance(event, InvoiceEnrichedV1):
            version = (event.invoice.invoice_id, event.invoice.updated_at)
            # Nothing follows from the same version again, unless a scan or a look shows it.
            if version not in self.found or event.cause.kind in {CauseKind.SCAN, CauseKind.LOOK}:
                self.found.setdefault(version, self.time())
                await self.notifier.take_in(event)
        elif isinstance(event, ScanRequestedV1 | InvoiceLookRequestedV1):
            self._come(event, self.time())

    def issue(self, due_on: date, *, number: int, issued_on: date) -> Invoice:
        """An invoice of a contact of its own, who has a number of its own; no webhook."""
        name, phone = f"Customer {number}", f"98765{number:05d}"
        contact = use_cases.open_contact(self.xero, NewContact(tenant_id=TENANT, name=name, phone=phone))
        order = NewInvoice(tenant_id=TENANT, contact_id=contact.contact_id, issue_date=issued_on, due_date=due_on)
        return use_cases.issue_invoice(self.xero, order, tell=False)

    def webhook(self, invoice: Invoice, at: datetime, kind: str = "UPDATE") -> None:
        """One comes for the invoice at that time."""
        event = XeroEventReceivedV1(
            event_id=invoice.invoice_id,
            tenant_id=TENANT,
            category="INVOICE",
            event_type=kind,
            resource_id=invoice.invoice_id,
            event_at=at,
            received_at=at,
        )
        self._come(event, at)

    async def until(self, moment: datetime) -> None:
        """Let time pass; what comes at the same time is handled at the same time."""
        while (at := min([self._next_tick, *(message.at for message in self._heap[:1])])) < moment:
            await self._move_to(at)
            if at == self._next_tick:
                self._next_tick += TICK
                await self._tick()
                await self._send()
            while due := self._due(at):
                await asyncio.gather(*(self._handle(message) for message in due))
                if any(not isinstance(message.body, XeroEventReceivedV1) for message in due):
                    await self._send()
        await self._move_to(moment)

    async def _move_to(self, moment: datetime) -> None:
        await self.time.move_to(moment)
        self.notifier.clock.now = self.time.now

    def _due(self, at: datetime) -> list[Message]:
        due = []
        while self._heap and self._heap[0].at <= at:
            due.append(heappop(self._heap))
        return due

    async def _send(self) -> None:
        if self.time().astimezone(INDIA).hour not in _CONTACT_HOURS:
            return
        asked = len(self.notifier.events.published)
        await self.notifier.sender.run_once()
        for event in self.notifier.events.published[asked:]:
            await self.publish(event)

    def _come(self, body: Event, at: datetime) -> None:
        heappush(self._heap, Message(at, next(self._numbers), body, at))

    async def _handle(self, message: Message) -> None:
        try:
            await self._by_kind(message.body)
        except Exception as error:
            now = self.time()
            waited = (now - message.first_seen).total_seconds()
            match outcome_of(error, message.attempts, waited_seconds=waited):
                case Delay(rung, attempt, reason):
                    self.most_attempts = max(self.most_attempts, attempt)
                    message.at, message.attempts = now + timedelta(seconds=rung.seconds), attempt
                    message.reason = reason
                    heappush(self._heap, message)
                case Bury(reason):
                    self.buried.append((reason, message.body))

    async def _by_kind(self, body: Event) -> None:
        match body:
            case XeroEventReceivedV1():
                async with self._shares.place(body.tenant_id):
                    await self._publish_all(self._look.after_event(body))
            case InvoiceLookRequestedV1():
                await self._publish_all(self._look.on_request(body))
            case ScanRequestedV1():
                await self._publish_all(self._scans(body))

    async def _publish_all(self, outcomes: AsyncGenerator[InvoiceEnrichedV1]) -> None:
        async for outcome in outcomes:
            await self.publish(outcome)

    def waiting(self, kind: type[Event] = Event) -> list[Message]:
        """Messages on the ladder."""
        return [message for message in self._heap if message.reason and isinstance(message.body, kind)]

    def spend(self, calls: int) -> None:
        """Another program of the same app makes calls: Xero counts them, and we do not."""
        self.xero.limiter.tenants[TENANT].day += calls

    def spent(self) -> int:
        """Calls of the day by Xero's count."""
        return self.xero.limiter.tenants[TENANT].day

    def made(self, begin: datetime, end: datetime, purpose: Purpose, endpoint: str = "") -> int:
        """Answered calls of that time, of one endpoint where it is named."""
        return sum(begin <= at < end and of is purpose and endpoint in ("", asked) for at, of, asked in self.calls)

    def figure(self, name: str, **labels: str) -> float:
        """A metric of the fetcher's."""
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def starter_day(redis_url: str, folder: Path) -> AsyncIterator[StarterDay]:
    """From the moment in which Xero's day begins."""
    time = MovedTime(redis_url, BEGIN)
    await time.move_to(BEGIN)
    async with time.redis, world(f"sqlite:///{folder / 'ledger.db'}", FRESH) as notifier:
        # The ledger need not outlive the test, and a day of it should not wait for the disk.
        sa.event.listen(notifier.engine.sync_engine, "connect", _without_disk)
        await notifier.engine.dispose()
        day = StarterDay(time, notifier)
        try:
            yield day
        finally:
            await day.http.aclose()
            await day.xero.close()
            await day.organisations.close()


class _Told:
    """The fetcher's own figures, and a count of its calls by hour."""

    def __init__(self, day: StarterDay, figures: FetcherMetrics) -> None:
        self._day, self._figures = day, figures

    def called(self, endpoint: str, purpose: Purpose, status: str, size: int, day_left: int | None) -> None:
        self._figures.called(endpoint, purpose, status, size, day_left)
        if status == "429":
            self._day.refused += 1
        else:
            self._day.calls.append((self._day.time(), purpose, endpoint))

    def held(self, limit: str) -> None:
        self._figures.held(limit)
        if limit == "day":
            self._day.parked.append(self._day.time())


def _without_disk(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF").close()
