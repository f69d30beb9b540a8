"""A sender in a process of its own, on the real ledger and over a real socket, that ends itself at a named point."""

import asyncio
import os
import signal
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, get_args

import httpx
import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import sender
from notifier.adapters.ledger import SqlLedger
from notifier.adapters.outbox import SqlOutbox
from notifier.adapters.whatsapp import WhatsAppProvider
from notifier.app import new_reference
from notifier.catalogue import Catalogue, load_catalogue
from notifier.halts import CLAIM_SPACING
from notifier.judge import contact_moment
from notifier.last_look import LookLast
from notifier.model import Snapshot
from notifier.rendering import render
from notifier.sender import Sender
from notifier.telemetry import Figures, OutboxLog, SenderLog
from notifier.tell import TellChanges
from notifier.wiring import DEADLINE_SECONDS
from shared.contracts import Event
from shared.contracts.messages import MessageChangedV1, MessageKind
from shared.runtime.clock import utc_now
from shared.runtime.database import create_engine
from support.builders import NOON, make_enriched
from support.notifier import CATALOGUE, UNBRAKED, UNHURRIED

Point = Literal[
    "before_claim", "claim_written", "claimed", "posting", "connected", "written", "accepted", "answered",
    "settle_written", "settled", "before_telling", "told",
]  # fmt: skip
"""The claim about to begin; all its statements written and not committed; committed; the provider called; connected;
the request written; the provider's answer begun; the answer read; the settling written and not committed; committed;
the change about to be told; told."""
POINTS: tuple[Point, ...] = get_args(Point)
IN_DOUBT: frozenset[Point] = frozenset(
    {"claimed", "posting", "connected", "written", "accepted", "answered", "settle_written"}
)
"""Between the two commits: what dies here nobody can know the end of."""
PATH = "/v25.0/100000000000001/messages"
TOKEN = "sandbox-whatsapp-token"
_TURNS = 4
_ON_THE_WIRE: dict[str, Point] = {
    "connection.connect_tcp.complete": "connected",
    "http11.send_request_body.complete": "written",
    "http11.receive_response_headers.complete": "accepted",
}


@dataclass(frozen=True)
class Life:
    """One process: where it works, what time it believes it is, where it dies; ``struck`` tells the intent it held."""

    database_url: str
    whatsapp_url: str
    ahead: timedelta
    dies_at: Point | None
    struck: Path


class Fate:
    """Knows the message in hand, and ends the process when its point is reached."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self.in_hand = ""
        self.commits_as: Point | None = None
        self.posted = False

    def reach(self, point: Point | None) -> None:
        if point is not None and point == self._life.dies_at:
            self._life.struck.write_text(self.in_hand)
            os.kill(os.getpid(), signal.SIGKILL)

    def committing(self, _: object) -> None:
        self.reach(self.commits_as)


class DyingBook:
    def __init__(self, inner: Any, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def claim(self, intent: Any, *arguments: Any) -> bool:
        self._fate.in_hand, self._fate.posted = intent.intent_id, False
        self._fate.reach("before_claim")
        claimed: bool = await self._inner.claim(intent, *arguments)
        self._fate.commits_as = "claim_written"
        return claimed


class DyingLedger:
    """Passes everything on."""

    def __init__(self, inner: SqlLedger, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @asynccontextmanager
    async def open_all(self, tenant_ids: Collection[str], now: datetime) -> AsyncIterator[Any]:
        async with self._inner.open_all(tenant_ids, now) as books:
            yield {tenant_id: DyingBook(book, self._fate) for tenant_id, book in books.items()}
        if self._fate.commits_as:
            self._fate.commits_as = None
            self._fate.reach("claimed")

    async def settle(self, *arguments: Any, **named: Any) -> Any:
        # A busy machine may take so long from the claim to the POST that none is made.
        if self._fate.posted:
            self._fate.reach("answered")
            self._fate.commits_as = "settle_written"
        changes = await self._inner.settle(*arguments, **named)
        self._fate.commits_as = None
        if self._fate.posted:
            self._fate.reach("settled")
        return changes


class DyingWire(httpx.AsyncHTTPTransport):
    """The real transport; besides what the provider listens for, the points on the wire are listened for."""

    def __init__(self, fate: Fate) -> None:
        super().__init__(retries=0, verify=False)
        self._fate = fate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._fate.reach("posting")
        inner: Callable[[str, Any], Awaitable[None]] = request.extensions["trace"]

        async def trace(event: str, details: Any) -> None:
            await inner(event, details)
            self._fate.reach(_ON_THE_WIRE.get(event))
            self._fate.posted = self._fate.posted or event.endswith("receive_response_headers.complete")

        request.extensions["trace"] = trace
        return await super().handle_async_request(request)


class DyingEvents:
    def __init__(self, fate: Fate) -> None:
        self._fate = fate

    async def publish(self, event: Event, *, deadline: float | None = None, message_id: str | None = None) -> None:
        if isinstance(event, MessageChangedV1) and event.intent_id == self._fate.in_hand:
            self._fate.reach("before_telling")
            self._fate.reach("told")


def nursery(pipe: Connection) -> None:
    """Forks a sender for each life that is sent and answers with its exit code; None ends it.

    What a process learns only once is learnt before, so that a life takes milliseconds.
    """
    sender.IN_FLIGHT = 1
    catalogue, snapshot = load_catalogue(CATALOGUE), Snapshot.of(make_enriched())
    render(snapshot, MessageKind.REMINDER, 30, UNBRAKED.defaults, catalogue)
    contact_moment(snapshot, UNBRAKED.defaults, NOON)
    while (life := pipe.recv()) is not None:
        pid = os.fork()
        if pid == 0:
            _live_and_exit(life, catalogue)
        pipe.send(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _live_and_exit(life: Life, catalogue: Catalogue) -> None:
    try:
        asyncio.run(_live(life, catalogue))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


async def _live(life: Life, catalogue: Catalogue) -> None:
    """Send all that can leave, one after the other, and end; or die on the way."""
    fate, engine = Fate(life), create_engine(life.database_url)
    sa.event.listen(engine.sync_engine, "commit", fate.committing)

    ahead = life.ahead

    def clock() -> datetime:
        return utc_now() + ahead

    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=life.whatsapp_url, headers=bearer, transport=DyingWire(fate)) as client:
        figures = Figures(CollectorRegistry())
        tells = TellChanges(SqlOutbox(engine), DyingEvents(fate), clock=clock, log=OutboxLog(figures))
        sends = _sender(engine, fate, client, catalogue, clock, SenderLog(figures), tells.wake)
        for _ in range(_TURNS):
            await sends.run_once()
            await tells.tell_once()
            # The first claims of a process may be too slow to be posted; they are made again.
            ahead += CLAIM_SPACING
    await engine.dispose()


def _sender(
    engine: AsyncEngine,
    fate: Fate,
    client: httpx.AsyncClient,
    catalogue: Catalogue,
    clock: Callable[[], datetime],
    log: SenderLog,
    told: Callable[[], None],
) -> Sender:
    ledger: Any = DyingLedger(SqlLedger(engine, UNHURRIED), fate)
    look_last = LookLast(ledger, UNBRAKED, catalogue, clock=clock, new_reference=new_reference)
    provider = WhatsAppProvider(client, path=PATH, deadline_seconds=DEADLINE_SECONDS)
    return Sender(ledger, look_last, provider, DyingEvents(fate), clock=clock, log=log, told=told)
