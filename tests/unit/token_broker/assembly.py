"""One token-broker replica with a real database and everything else in the test's hands."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette

from shared.clients.token_broker import fingerprint
from shared.contracts import Event
from shared.contracts.tokens import TokenAccessRequest, TokenGranted, TokenRefused
from shared.errors import PublishFailed
from shared.runtime.database import create_engine, migrate
from shared.telemetry.correlation import correlated
from token_broker.adapters.connection_store import SqlConnections
from token_broker.adapters.consent_store import SqlConsents
from token_broker.adapters.grant_store import SqlGrants
from token_broker.adapters.transactions import Database
from token_broker.adapters.xero_identity import XeroIdentity
from token_broker.ahead import RefreshAhead
from token_broker.announce import Announcer
from token_broker.consent import Application, FinishConsent, StartConsent
from token_broker.handout import HandOut
from token_broker.http import consent_routes
from token_broker.keeper import Keeper
from token_broker.keyring import KeyRing
from token_broker.links import Link, LinkSigner
from token_broker.ports import Grant, RefreshLock
from token_broker.reconcile import Reconcile
from token_broker.refresh import Refresher
from token_broker.timing import Pacing, RefreshTiming
from unit.token_broker.strict_xero import StrictXero

NOON = datetime(2026, 6, 23, 12, 0, tzinfo=UTC)
RING = "k1:" + "A" * 43 + "="
LINKS = LinkSigner("https://broker.test/connect", SecretStr("an admin secret for tests"))
SCOPES = ("openid", "offline_access", "accounting.invoices.read", "accounting.contacts.read")
ACME = ("tenant-acme", "Acme Ltd")
BRIO = ("tenant-brio", "Brio GmbH")


class FakeTime:
    """Stands still until a pause or the test moves it."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def clock(self) -> datetime:
        return NOON + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def advance(self, seconds: float) -> None:
        self.elapsed += seconds

    async def pause(self, seconds: float) -> None:
        self.elapsed += seconds
        await asyncio.sleep(0)


class RealTime(FakeTime):
    """Runs by itself; ``skew_seconds`` is how wrong this replica's time of day is."""

    def __init__(self, skew_seconds: float = 0) -> None:
        super().__init__()
        self.skew = timedelta(seconds=skew_seconds)

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.skew

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class FakeEvents:
    def __init__(self) -> None:
        self.published: list[Event] = []
        self.down = False

    async def publish(self, event: Event, *, deadline: float | None = None) -> None:
        if self.down:
            raise PublishFailed("publish_unconfirmed")
        self.published.append(event)


class FakeFigures:
    def __init__(self) -> None:
        self.seen: list[tuple[str, ...]] = []

    def refreshed(self, grant_id: str, generation: int, seconds: float, *, recovered: bool = False) -> None:
        self.seen.append(("recovered" if recovered else "refreshed", grant_id, str(generation)))

    def refresh_failed(self, grant_id: str, outcome: str, reason: str) -> None:
        self.seen.append(("failed", outcome, reason))

    def grant_lost(self, grant_id: str, reason: str) -> None:
        self.seen.append(("lost", grant_id, reason))

    def answered(self, tenant_id: str, outcome: str, grant: Grant | None = None) -> None:
        self.seen.append(("answered", tenant_id, outcome))

    def connection_changed(self, tenant_id: str, grant_id: str, change: str) -> None:
        self.seen.append(("connection", tenant_id, change))

    def look_failed(self, grant_id: str, reason: str) -> None:
        self.seen.append(("look failed", grant_id, reason))

    def consented(self, outcome: str, organisations: int = 0) -> None:
        self.seen.append(("consented", outcome, str(organisations)))

    def untold(self, reason: str) -> None:
        self.seen.append(("untold", reason))


class NoLock:
    """What Redis amounts to when it is down: everybody may try."""

    @asynccontextmanager
    async def hold(self, grant_id: str) -> AsyncIterator[bool]:
        yield True


@dataclass
class Replica:
    database: Database
    grants: SqlGrants
    consents: SqlConsents
    connections: SqlConnections
    refresher: Refresher
    hand_out: HandOut
    ahead: RefreshAhead
    keeper: Keeper
    announce: Announcer
    browser: httpx.AsyncClient
    events: FakeEvents
    figures: FakeFigures
    time: FakeTime
    xero: StrictXero
    nonces: Iterator[int] = field(default_factory=count)

    async def ask(
        self, tenant_id: str = ACME[0], refused: str | None = None, *, forbidden: bool = False
    ) -> TokenGranted | TokenRefused:
        return await self.hand_out(TokenAccessRequest(tenant_id=tenant_id, refused=refused, forbidden=forbidden))

    def link(self, hours: float = 24) -> str:
        expires_at = (self.time.clock() + timedelta(hours=hours)).replace(microsecond=0)
        return LINKS.url(Link(f"nonce-{id(self)}-{next(self.nonces)}", expires_at))

    async def keep(self) -> None:
        """A round of both of the keeper's loops."""
        await self.keeper.settle()
        await self.keeper.look()

    async def state(self, link: str) -> str:
        answer = await self.browser.get(link)
        assert answer.status_code == 302, answer.text
        return httpx.URL(answer.headers["location"]).params["state"]

    async def connect(self, user: str, *organisations: tuple[str, str]) -> httpx.Response:
        """The whole journey of a consent; the last page."""
        state = await self.state(self.link())
        code = self.xero.code_for(user, *organisations)
        return await self.browser.get("/callback", params={"code": code, "state": state})


@asynccontextmanager
async def open_replica(
    database_url: str,
    xero: StrictXero,
    *,
    time: FakeTime | None = None,
    pacing: Pacing | None = None,
    lock: RefreshLock | None = None,
    ring: str = RING,
    deadline_seconds: float = 20,
) -> AsyncIterator[Replica]:
    time = time or FakeTime()
    pacing = pacing or Pacing(RefreshTiming(), time.monotonic, time.pause, lambda: 0.0)
    events, figures, ids = FakeEvents(), FakeFigures(), count()
    async with AsyncExitStack() as stack:
        engine = create_engine(database_url)
        stack.push_async_callback(engine.dispose)
        await migrate(engine, "token_broker")
        database = Database(engine, time.clock)
        keys = KeyRing.parse(ring)
        grants = SqlGrants(database, keys, pacing.timing)
        consents, connections = SqlConsents(database, keys), SqlConnections(database)
        identity = XeroIdentity(
            await stack.enter_async_context(xero.client()),
            await stack.enter_async_context(xero.client()),
            client_id="client",
            client_secret=SecretStr("secret"),
            redirect_uri="https://broker.test/callback",
            deadline_seconds=deadline_seconds,
        )
        announce = Announcer(connections, events, LINKS, figures, time.clock, correlated)
        refresher = Refresher(
            grants,
            identity,
            lock or NoLock(),
            figures,
            announce,
            pacing=pacing,
            new_owner=lambda: f"owner-{id(figures)}-{next(ids)}",
        )
        stack.push_async_callback(refresher.drain)
        reconcile = Reconcile(connections, identity, figures, announce, pacing)
        ahead = RefreshAhead(refresher, pacing)
        keeper = Keeper(grants, refresher, reconcile, figures, pacing)
        hand_out = HandOut(grants, refresher, reconcile, ahead, figures, pacing=pacing, fingerprint=fingerprint)
        application = Application(
            "https://login.test/identity/connect/authorize", "client", "https://broker.test/callback", SCOPES
        )
        start = StartConsent(
            consents, LINKS, application, clock=time.clock, new_state=lambda: f"state-{id(figures)}-{next(ids)}"
        )
        finish = FinishConsent(
            consents,
            identity,
            LINKS,
            figures,
            announce,
            asked_scopes=frozenset(SCOPES),
            new_id=lambda: f"id-{id(figures)}-{next(ids)}",
        )
        transport = httpx.ASGITransport(Starlette(routes=consent_routes(start, finish, correlated)))
        browser = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="https://broker.test")
        )
        yield Replica(
            database,
            grants,
            consents,
            connections,
            refresher,
            hand_out,
            ahead,
            keeper,
            announce,
            browser,
            events,
            figures,
            time,
            xero,
        )
