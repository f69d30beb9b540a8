"""Scheduler and fetcher around the sandbox's books, on a clock that only the test moves."""

import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from starlette.applications import Starlette

from fetcher.adapters.calls import XeroCalls
from fetcher.adapters.permits import Limit, Permit, Remaining
from fetcher.adapters.xero import Xero
from fetcher.arrivals import Arrivals
from fetcher.contacts import ContactDirectory
from fetcher.gatherer import Gatherer
from fetcher.looks import LookAtInvoices
from fetcher.metrics import FetcherMetrics
from fetcher.online_links import OnlineLinks
from fetcher.organisations import OrganisationDirectory
from fetcher.poll_account import PollAccount
from fetcher.purposes import Purpose
from fetcher.readings import InvoiceReader, Reading
from fetcher.scans import ScanTenant
from fetcher.silence_watch import SilenceWatch
from fetcher.versions import Version
from fetcher.watch_loop import WatchLoop
from sandbox import use_cases
from sandbox.app import create_app
from sandbox.books import Invoice
from sandbox.orders import NewContact, NewInvoice
from sandbox.settings import Settings
from sandbox.world import World
from scheduler.tick import Tick
from shared.contracts import Event, InvoiceEnrichedV1, ScanRequestedV1, WebhookSilentV1, XeroEventReceivedV1
from shared.policy import Policy
from unit.fetcher.samples import NOW, FakeContactCache, FakeLinkCache, FakeOrganisationCache, SteppingClock
from unit.fetcher.webhook_records import FakeWebhookRecords
from unit.scheduler.fakes import FakeClaims, FakeConnections, FakePace, FakeStore, FakeZones

MINUTE = timedelta(minutes=1)
_RESTS = timedelta(hours=3)
_BACK = "http://localhost/callback"
_SCOPES = ("accounting.invoices.read", "accounting.contacts.read", "accounting.settings.read")


class Consented:
    """One access token that lasts for the whole test."""

    def __init__(self, world: World, tenants: Collection[str]) -> None:
        code = world.identity.consent("owner", list(tenants), _SCOPES, _BACK, world.clock(), 300)
        answer = world.identity.exchange(code, _BACK, world.clock(), world.settings)
        self._token = SecretStr(answer["access_token"])

    async def access(self, tenant_id: str) -> SecretStr:
        return self._token

    async def replace(self, tenant_id: str, refused: SecretStr) -> SecretStr:
        raise AssertionError("the token does not expire")

    async def check_connected(self, tenant_id: str) -> None:
        raise AssertionError("nobody disconnects")

    def forget(self, tenant_id: str) -> None:
        raise AssertionError(tenant_id)


class Unlimited:
    """Permits everything: the sandbox counts."""

    @asynccontextmanager
    async def permit(self, tenant_id: str, purpose: Purpose) -> AsyncIterator[Permit]:
        yield Permit(tenant_id, "call", "epoch", 0.0)

    async def hold(self, tenant_id: str, seconds: float, limit: Limit) -> None:
        raise AssertionError("a limit was broken")

    async def learn(self, permit: Permit, remaining: Remaining) -> None:
        return None


class Cursors:
    def __init__(self) -> None:
        self.kept: dict[str, datetime] = {}

    async def find(self, tenant_id: str) -> datetime | None:
        return self.kept.get(tenant_id)

    async def keep(self, tenant_id: str, since: datetime) -> None:
        self.kept[tenant_id] = since


@dataclass
class Days:
    """Time goes by in minutes; every change goes into the books, and its webhook arrives unless it is withheld."""

    tenants: int
    seed: int = 7
    withheld: dict[Version, datetime] = field(default_factory=dict)
    published: dict[Version, datetime] = field(default_factory=dict)
    announced: list[WebhookSilentV1] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    is_silent: bool = False

    def __post_init__(self) -> None:
        self.clock = SteppingClock()
        self.app: Starlette = create_app(clock=self.clock)
        self.world: World = self.app.state.world
        self.world.reset(Settings(calls_per_day=1000, token_life=30 * 86400))
        self.dice = random.Random(self.seed)
        self.names = [
            self.world.books.add_organisation(f"Traders {number}", "IN", "INDIASTANDARDTIME", "INR").tenant_id
            for number in range(self.tenants)
        ]
        self.contacts = {
            tenant: use_cases.open_contact(self.world, NewContact(tenant_id=tenant, phone="9876543210")).contact_id
            for tenant in self.names
        }
        self.resting: deque[Invoice] = deque()
        self.asked: deque[ScanRequestedV1] = deque()
        self.pace = FakePace()
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://xero")
        self._compose()

    def _compose(self) -> None:
        tokens = Consented(self.world, self.names)
        figures = FetcherMetrics(CollectorRegistry(), 5000)
        xero = Xero(XeroCalls(self.http, tokens, Unlimited(), self.clock, figures), lambda _: None, Purpose.EVENT)
        contacts = ContactDirectory(xero, FakeContactCache(), self.clock)
        organisations = OrganisationDirectory(xero, FakeOrganisationCache(), self.publish, self.clock)
        reader = InvoiceReader(xero, contacts, organisations)
        records = FakeWebhookRecords()
        arrivals = Arrivals(records, lambda count: self.found.update(webhook=count))
        account = PollAccount(records, self.clock, lambda count: self.found.update(poll_only=count))
        links = OnlineLinks(xero, FakeLinkCache(), lambda _: None)
        gatherer = Gatherer[Reading](reader.read, linger_seconds=0, pause_seconds=0)
        self.look = LookAtInvoices(gatherer, gatherer, contacts, links, lambda _: None, arrivals)
        self.scan = ScanTenant(xero, reader, organisations, Cursors(), self.clock, account)
        watch = SilenceWatch(records, self.publish, self.clock)
        self.watching = WatchLoop(arrivals, account, watch, self._silent)
        connections, zones = FakeConnections(NOW, *self.names), FakeZones(*self.names)
        self.tick = Tick(connections, zones, self.pace, FakeClaims(FakeStore(self.clock)), self, Policy())

    async def publish(self, event: Event, *, deadline: float | None = None) -> None:
        """The broker, and what each consumer does."""
        if isinstance(event, ScanRequestedV1):
            self.asked.append(event)
        elif isinstance(event, WebhookSilentV1):
            self.announced.append(event)
            await self.pace.quicken(event.until)
        elif isinstance(event, InvoiceEnrichedV1) and event.invoice.updated_at is not None:
            version = Version(event.tenant_id, event.invoice.invoice_id, event.invoice.updated_at)
            self.published.setdefault(version, self.clock())

    async def minute(self, *changes: bool) -> None:
        """A minute passes with these changes; True withholds a change's webhook."""
        self.clock.advance(60)
        for is_withheld in changes:
            await self._change(is_withheld)
        await self.tick()
        while self.asked:
            async for event in self.scan(self.asked.popleft()):
                await self.publish(event)
        await self.watching.turn(look=True)

    async def _change(self, is_withheld: bool) -> None:
        """A new invoice, or the payment of one that nobody has touched for hours: each version is the last for long."""
        now = self.clock()
        if self.resting and now - self.resting[0].updated > _RESTS and self.dice.random() < 0.5:
            invoice = self.resting.popleft()
            self.world.books.pay(invoice, None, now.date())
        else:
            tenant = self.dice.choice(self.names)
            order = NewInvoice(tenant_id=tenant, contact_id=self.contacts[tenant], issue_date=now.date())
            invoice = use_cases.issue_invoice(self.world, order, tell=False)
            self.resting.append(invoice)
        version = Version(invoice.tenant_id, invoice.invoice_id, now)
        if is_withheld:
            self.withheld[version] = now
        else:
            await self.arrive(version)

    async def arrive(self, version: Version) -> None:
        """The version's webhook arrives, at its time or late."""
        event = XeroEventReceivedV1(
            event_id=version.invoice_id,
            tenant_id=version.tenant_id,
            category="INVOICE",
            event_type="UPDATE",
            resource_id=version.invoice_id,
            event_at=version.updated_at,
            received_at=self.clock(),
        )
        async for enriched in self.look.after_event(event):
            await self.publish(enriched)

    def _silent(self, is_silent: bool) -> None:
        self.is_silent = is_silent

    def delays(self, since: datetime | None = None) -> list[timedelta]:
        """How long each withheld change stayed unknown; KeyError for one that is unknown still."""
        return [self.published[version] - at for version, at in self.withheld.items() if since is None or at >= since]

    def polls(self, tenant: str, begin: datetime, end: datetime) -> int:
        """Xero's count of a tenant's polls."""
        entries = self.world.journal.select("xero.api")
        moments = [entry["time"] for entry in entries if entry.get("modified_since") and entry["tenant"] == tenant]
        return sum(begin <= datetime.fromisoformat(moment) < end for moment in moments)

    async def close(self) -> None:
        await self.http.aclose()
        await self.world.close()
