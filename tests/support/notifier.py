"""A notifier without a broker and without WhatsApp: real ledger, a clock in the test's hands, a provider that obeys."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters.confirmations import SqlConfirmations
from notifier.adapters.ledger import SqlLedger
from notifier.adapters.lessons import SqlLessons
from notifier.adapters.outbox import SqlOutbox
from notifier.adapters.spending import SqlHeld
from notifier.adapters.unsettled_book import SqlUnsettledBook
from notifier.budget import WatchBudgets
from notifier.catalogue import load_catalogue
from notifier.confirm import ConfirmStops, Line
from notifier.confirm_ports import SendsTexts, TextMessage
from notifier.connections import NoteConnection
from notifier.intake import Intake
from notifier.last_look import LookLast
from notifier.learn import Learn
from notifier.ports import Accepted, Outcome, Pace, TemplateMessage
from notifier.rates import load_rates
from notifier.sender import Sender
from notifier.tables import intents
from notifier.telemetry import Figures, OutboxLog, SenderLog, UnsettledLog
from notifier.tell import TellChanges
from notifier.unsettled import WatchUnsettled
from shared.contracts import Event
from shared.contracts.invoices import CauseKind, InvoiceEnrichedV1
from shared.contracts.messages import MessageChangedV1
from shared.contracts.whatsapp import WhatsAppUpdateKind, WhatsAppUpdateReceivedV1
from shared.errors import PublishFailed
from shared.policy import Policy
from shared.runtime.database import create_engine, migrate
from shared.telemetry.correlation import correlation_id
from support.builders import NOON, make_enriched

CATALOGUE = Path(__file__).parents[2] / "config" / "policy.yaml"
RATES = load_rates(CATALOGUE)
FRESH = Policy.model_validate({"defaults": {"brake": {"hold_back_book": False}}})
"""The shipped policy for an organisation that has been connected for long."""

ALWAYS = Policy.model_validate(
    {
        "defaults": {
            "brake": {"hold_back_book": False},
            "contact_hours": {
                "start": "00:00",
                "end": "24:00",
                "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
                "holidays": False,
            },
        }
    }
)
"""The same at any hour."""

_WIDE = ALWAYS.defaults.brake.model_copy(
    update={"usual_floor": 100_000, "per_tenant_per_hour": 100_000, "per_installation_per_hour": 100_000}
)
UNBRAKED = ALWAYS.model_copy(update={"defaults": ALWAYS.defaults.model_copy(update={"brake": _WIDE})})
"""The same for waves of any size."""

UNHURRIED = Pace(per_second=1_000_000)
"""A number without a pace of its own, so that a clock that stands still lets everything go."""


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


class FakeProvider:
    """Accepts everything, unless told what to answer next; ``meanwhile`` runs while a message is with it."""

    def __init__(self) -> None:
        self.posts: list[tuple[TemplateMessage, str]] = []
        self.texts: list[tuple[TextMessage, str]] = []
        self.answers: deque[Outcome] = deque()
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def send(self, message: TemplateMessage, attempt_ref: str) -> Outcome:
        self.posts.append((message, attempt_ref))
        if self.meanwhile:
            await self.meanwhile()
        return self.answers.popleft() if self.answers else Accepted(f"wamid.{attempt_ref}")

    async def send_text(self, message: TextMessage, attempt_ref: str) -> Outcome:
        self.texts.append((message, attempt_ref))
        if self.meanwhile:
            await self.meanwhile()
        return self.answers.popleft() if self.answers else Accepted(f"wamid.{attempt_ref}")


class FakeEvents:
    def __init__(self) -> None:
        self.published: list[Event] = []
        self.correlation_ids: list[str | None] = []
        self.message_ids: list[str | None] = []
        self.away = False

    async def publish(self, event: Event, *, deadline: float | None = None, message_id: str | None = None) -> None:
        if self.away:
            raise PublishFailed("publish_unconfirmed")
        self.published.append(event)
        self.message_ids.append(message_id)
        self.correlation_ids.append(correlation_id())

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.published if isinstance(event, kind)]


class World:
    def __init__(
        self, engine: AsyncEngine, policy: Policy = FRESH, *, pace: Pace = UNHURRIED, account: str | None = None
    ) -> None:
        self.engine = engine
        self.policy = policy
        self.account = account
        self.clock = Clock()
        self.provider = FakeProvider()
        self.events = FakeEvents()
        self.stops: list[str] = []
        self.over_budget: list[Mapping[str, int]] = []
        self.ledger = SqlLedger(engine, pace, rates=RATES)
        self.sender = self.another_sender()
        self.teller = self.another_teller()
        self.heard: list[str] = []
        self.learn = Learn(
            SqlLessons(engine, RATES), clock=self.clock, stopped=self.stops.append, heard=self.heard.append
        )
        self.connection = NoteConnection(self.ledger, clock=self.clock, wake=_nothing)
        self.figures = Figures(CollectorRegistry())
        self.unsettled = WatchUnsettled(
            SqlUnsettledBook(engine), policy, clock=self.clock, wake=_nothing, log=UnsettledLog(self.figures)
        )

    def another_sender(self, clock: Callable[[], datetime] | None = None) -> Sender:
        return Sender(
            self.ledger,
            LookLast(
                self.ledger,
                self.policy,
                load_catalogue(CATALOGUE),
                clock=clock or self.clock,
                new_reference=lambda: f"v1.{uuid4().hex}",
                account=self.account,
                rates=RATES,
            ),
            self.provider,
            self.events,
            clock=clock or self.clock,
            log=SenderLog(Figures(CollectorRegistry())),
            told=_nothing,
        )

    def another_teller(self, outbox: SqlOutbox | None = None) -> TellChanges:
        log = OutboxLog(Figures(CollectorRegistry()))
        return TellChanges(outbox or SqlOutbox(self.engine), self.events, clock=self.clock, log=log)

    def another_confirmer(self, provider: SendsTexts | None = None) -> ConfirmStops:
        lines = {UNHURRIED.sender: Line(UNHURRIED, provider or self.provider)}
        book = SqlConfirmations(self.engine)
        return ConfirmStops(book, lines, self.policy, RATES, clock=self.clock, attempted=lambda *_: None)

    def budgets(self, policy: Policy | None = None) -> WatchBudgets:
        return WatchBudgets(
            SqlHeld(self.engine),
            self.ledger,
            policy or self.policy,
            RATES,
            clock=self.clock,
            wake=_nothing,
            log=self.over_budget.append,
        )

    async def told(self) -> list[str]:
        """The states that were told of, up to now."""
        await self.teller.tell_once()
        return [change.state.value for change in self.events.of(MessageChangedV1)]

    async def take_in(
        self, event: InvoiceEnrichedV1 | None = None, *, correlation_id: str = "correlation-1", **changes: Any
    ) -> list[MessageChangedV1]:
        intake = Intake(self.ledger, self.policy, clock=self.clock, wake=_nothing, count=_ignored)
        changes.setdefault("read_at", self.clock.now)
        return list(await intake(event or make_enriched(**changes), correlation_id))

    async def look_answered(self, **changes: Any) -> list[MessageChangedV1]:
        return await self.take_in(cause={"kind": CauseKind.LOOK}, **changes)

    async def rows(self, table: sa.Table = intents) -> list[sa.Row[Any]]:
        async with self.engine.connect() as db:
            return list(await db.execute(sa.select(table)))

    async def states(self) -> list[str]:
        return [row.state for row in await self.rows()]

    async def states_of(self, state: str) -> int:
        """How many messages are in it."""
        return (await self.states()).count(state)

    async def intent(self) -> sa.Row[Any]:
        (row,) = await self.rows()
        return row


@asynccontextmanager
async def world(
    url: str, policy: Policy = FRESH, *, pace: Pace = UNHURRIED, account: str | None = None
) -> AsyncIterator[World]:
    engine = create_engine(url)
    try:
        await migrate(engine, "notifier")
        yield World(engine, policy, pace=pace, account=account)
    finally:
        await engine.dispose()


def status_update(
    status: str, reference: str | None, wamid: str = "wamid.x", **changes: Any
) -> WhatsAppUpdateReceivedV1:
    fields: dict[str, Any] = {
        "update_id": f"{wamid}-{status}",
        "kind": WhatsAppUpdateKind.STATUS,
        "phone_number_id": "1",
        "provider_message_id": wamid,
        "happened_at": NOON,
        "received_at": NOON,
        "status": status,
        "reference": reference,
        "raw": {},
    }
    return WhatsAppUpdateReceivedV1(**(fields | changes))


def inbound(text: str | None = None, **changes: Any) -> WhatsAppUpdateReceivedV1:
    fields: dict[str, Any] = {
        "update_id": f"in-{text}",
        "kind": WhatsAppUpdateKind.MESSAGE,
        "phone_number_id": "1",
        "provider_message_id": "wamid.in",
        "happened_at": NOON,
        "received_at": NOON,
        "person_phone": "+919876543210",
        "text": text,
        "raw": {},
    }
    return WhatsAppUpdateReceivedV1(**(fields | changes))


def tenant_policy(**rules: Any) -> Policy:
    return Policy.model_validate({"defaults": {"brake": {"hold_back_book": False}, **rules}})


def _nothing() -> None: ...


def _ignored(_: object) -> None: ...
