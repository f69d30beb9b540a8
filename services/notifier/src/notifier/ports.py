"""What the notifier needs of the world: a ledger that remembers and a provider that sends."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from notifier.account_templates import TemplateState
from notifier.halts import Halts, OpenBreaker
from notifier.model import Decision, History, Intent, Snapshot, Tenant
from notifier.provider_errors import META
from notifier.rates import Bill
from notifier.whatsapp_errors import Handling
from shared.contracts.messages import MessageChangedV1, MessageKind, MessageState
from shared.policy import DEFAULT_SENDER


@dataclass(frozen=True, slots=True)
class TemplateMessage:
    """``to`` is E.164 with ``+``; parameters are named, in the template's order."""

    to: str
    template: str
    language: str
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took it. ``held`` when it sits on it for a quality check.

    ``whatsapp_phone`` is the recipient's number as WhatsApp knows it, E.164 with ``+``; it may differ from ours.
    """

    provider_message_id: str
    held: bool = False
    whatsapp_phone: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """It was certainly not sent. ``code`` is the provider's, None when the provider was never reached."""

    reason: str
    handling: Handling
    code: int | None = None
    details: str | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have been sent."""

    reason: str


Outcome = Accepted | Rejected | Unknown


class SendsMessages(Protocol):
    async def send(self, message: TemplateMessage, attempt_ref: str) -> Outcome:
        """Ask the provider once, within a deadline; ``attempt_ref`` comes back with every status. Never raises."""


@dataclass(frozen=True, slots=True)
class Due:
    """A planned intent whose time has come. ``stale`` when its snapshot must be read anew first."""

    intent_id: str
    tenant_id: str
    invoice_id: str
    correlation_id: str | None
    stale: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to send an intent; ``template`` is a name in a language."""

    reference: str
    intent_id: str
    tenant_id: str
    phone: str
    template: str
    released: bool = False
    bill: Bill | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """What one sending number may do: messages per second, and different recipients in 24 hours (None: any number).

    ``sender`` is the number's name in the policy, ``provider`` whose network it is on.
    """

    number: str = "default"
    per_second: float = 80
    daily_recipients: int | None = None
    sender: str = DEFAULT_SENDER
    provider: str = META


class TurnKind(StrEnum):
    GO = "go"
    PACE = "pace"
    """For a moment nothing of the number can leave."""
    RECIPIENT = "recipient"
    TIER = "tier"
    """The day's different recipients are used up."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether a message may leave now; ``until`` when it may not, as far as that is known."""

    kind: TurnKind
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wave:
    """What of an organisation waits to leave, unreleased, and what left within the hour: there and everywhere.

    ``held_lately``: a wave of it was held within the hour and nobody has released it. ``waiting_everywhere``, told only
    where it matters, is of all that no brake of their own will hold, with what the ceiling held within the hour.
    """

    waiting: int
    sent: int
    sent_everywhere: int
    held_lately: bool = False
    waiting_everywhere: int = 0


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another due reminder of a contact, with what is known of its invoice and all that was said of that."""

    intent: Intent
    snapshot: Snapshot
    of_invoice: tuple[Intent, ...]


class TenantBook(Protocol):
    """The ledger of one organisation inside one transaction; nobody else writes to it meanwhile."""

    async def tenant(self) -> Tenant: ...
    async def establish(self, connected_at: datetime) -> None: ...
    async def lose(self, lost_at: datetime) -> None: ...
    async def snapshot(self, invoice_id: str) -> Snapshot | None: ...
    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Whatever asked for a fresh one is answered thereby."""

    async def history(self, snapshot: Snapshot, now: datetime, *, leaving: Intent | None = None) -> History:
        """With ``leaving`` only reminders that really left are counted, without that intent itself."""

    async def record(self, snapshot: Snapshot, decision: Decision, now: datetime) -> None: ...

    async def plan(
        self, snapshot: Snapshot, decision: Decision, state: MessageState, now: datetime, correlation_id: str | None
    ) -> Intent | None:
        """Make the one intent of this kind and stage; None when there is one already that cannot be revived."""

    async def intent(self, intent_id: str) -> Intent | None: ...
    async def intent_about(self, invoice_id: str, kind: MessageKind, stage: int | None) -> Intent | None: ...

    async def move(self, intent: Intent, state: MessageState, reason: str | None, now: datetime) -> bool:
        """Change a state that is still as in ``intent``; False when it no longer is."""

    async def spent(self, on: date, currency: str) -> Decimal:
        """What the organisation's messages of the date's month come to: as billed, else as estimated."""

    async def held_for(self, rule: str, limit: int) -> Sequence[tuple[Intent, str | None]]:
        """What a rule holds, with its number; what is due first comes first."""

    async def tell(self, changes: Sequence[MessageChangedV1], correlation_id: str | None) -> None:
        """Keep what this transaction changes until it is told."""

    async def postpone(self, intent: Intent, due_at: datetime, now: datetime) -> None: ...
    async def ask_again(self, intent: Intent, look_after: datetime) -> bool:
        """Note that a fresh snapshot is asked for, not to be repeated before ``look_after``."""

    async def await_link(self, intent: Intent, until: datetime) -> bool:
        """Note that the invoice's online link is asked for; until then the message leaves only with an answer."""

    async def siblings(self, intent: Intent, contact_id: str, now: datetime, limit: int) -> Sequence[Sibling]:
        """The other due planned reminders of the contact's overdue invoices, those that are due longest first."""

    async def hold_off(self, intents: Sequence[Intent], until: datetime) -> None:
        """Leave them out of what is due until then: one they leave with is being read."""

    async def claim(self, intent: Intent, attempt: Attempt, now: datetime, others: Sequence[Intent] = ()) -> bool:
        """From planned to sending, with its attempt; False when another sender was first.

        ``others`` leave in the same attempt: all or none.
        """

    async def template(self, account: str, name: str, language: str) -> TemplateState | None:
        """What the business account is known to say of a template; None when that is not known."""

    async def is_paused(self) -> bool:
        """Whether a person has stopped this organisation's messages, or all."""

    async def breakers(self, template: str | None) -> Sequence[OpenBreaker]:
        """Those that stop this organisation's messages of the template in its language; without one, of any."""

    async def let_wait(self, intent: Intent, breaker: OpenBreaker) -> None:
        """Leave the intent out of what is due until the breaker closes or lets it probe."""

    async def take_probe(self, breaker: OpenBreaker, reference: str, now: datetime) -> bool:
        """Whether this attempt is the one that may pass an open breaker."""

    def tentatively(self) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """What is done inside can be undone, before it ends, by what it yields."""

    async def take_turn(self, phone: str, now: datetime) -> Turn:
        """Count a message as leaving now, or say why it must not."""

    async def wave(self, now: datetime, *, most: int, most_everywhere: int) -> Wave: ...
    async def busiest_hour(self, now: datetime) -> int:
        """The most messages of this organisation that left in one hour of the last weeks."""

    async def pull_brake(self, now: datetime, rule: str = "brake") -> tuple[Sequence[Intent], bool]:
        """Hold everything planned but not released; and whether this is the first time within the hour."""


class Ledger(Protocol):
    """Everything that must not be forgotten."""

    def open(self, tenant_id: str, now: datetime) -> AbstractAsyncContextManager[TenantBook]:
        """A transaction that is committed when the block ends well."""

    def open_all(
        self, tenant_ids: Collection[str], now: datetime
    ) -> AbstractAsyncContextManager[Mapping[str, TenantBook]]:
        """The same for several organisations in one transaction."""

    async def due(self, now: datetime, limit: int) -> Sequence[Due]:
        """What may leave now, every organisation's first before any one's second; nothing of a lost connection.

        Nothing that is paused, and of what breakers stop no more than a probe. Where the day's recipients run short,
        the largest debts come first and of equal ones the oldest.
        """

    async def settle(
        self, attempt: Attempt, outcome: Outcome, now: datetime, *, retry_at: datetime | None = None, burns: bool = True
    ) -> Sequence[MessageChangedV1]:
        """Record what became of an attempt, and the statuses of it that came earlier than the answer.

        The breaker that an error opens is open when it returns.
        """

    async def abandon(self, claimed_before: datetime, now: datetime) -> Sequence[MessageChangedV1]:
        """Call unknown what was claimed so long ago that its sender must be gone."""

    async def catch_up(self, now: datetime, since: datetime | None) -> Sequence[MessageChangedV1]:
        """Apply statuses that came earlier than their answer, and that nobody lived to apply after it: all of them,
        or some of those that came after ``since``.
        """

    async def turned_back(self, now: datetime) -> None:
        """Believe nothing that was written by a clock ahead of ``now``: it would keep messages waiting."""

    async def note_tier(self, now: datetime) -> int:
        """Record of what is due that it waits for a new day's recipients. Returns of how many anew."""

    async def halts(self) -> Halts:
        """Everything that stands in the way now."""
