"""What the notifier needs of the world: a ledger that remembers and a provider that sends."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from notifier.account_templates import TemplateState
from notifier.model import Decision, History, Intent, Snapshot, Tenant
from notifier.whatsapp_errors import Handling
from shared.contracts.messages import MessageChangedV1, MessageKind, MessageState


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
    """One try to send an intent."""

    reference: str
    intent_id: str
    tenant_id: str
    phone: str
    template: str


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

    async def postpone(self, intent: Intent, due_at: datetime, now: datetime) -> None: ...
    async def ask_again(self, intent: Intent, look_after: datetime) -> bool:
        """Note that a fresh snapshot is asked for, not to be repeated before ``look_after``."""

    async def await_link(self, intent: Intent, until: datetime) -> bool:
        """Note that the invoice's online link is asked for; until then the message leaves only with an answer."""

    async def claim(self, intent: Intent, attempt: Attempt, now: datetime) -> bool:
        """From planned to sending, with its attempt; False when another sender was first."""

    async def template(self, account: str, name: str, language: str) -> TemplateState | None:
        """What the business account is known to say of a template; None when that is not known."""

    async def last_sent_to(self, phone: str) -> datetime | None: ...
    async def sent_since(self, since: datetime) -> tuple[int, int]:
        """How many messages of this organisation and of the installation left after ``since``."""

    async def pull_brake(self, now: datetime) -> tuple[Sequence[Intent], bool]:
        """Hold everything planned but not released; and whether this is the first time within the hour."""


class Ledger(Protocol):
    """Everything that must not be forgotten."""

    def open(self, tenant_id: str, now: datetime) -> AbstractAsyncContextManager[TenantBook]:
        """A transaction that is committed when the block ends well."""

    async def due(self, now: datetime, limit: int) -> Sequence[Due]:
        """What may leave now, every organisation's first before any one's second; nothing of a lost connection."""

    async def settle(
        self, attempt: Attempt, outcome: Outcome, now: datetime, *, retry_at: datetime | None = None, burns: bool = True
    ) -> Sequence[MessageChangedV1]:
        """Record what became of an attempt, and the statuses of it that came earlier than the answer."""

    async def abandon(self, claimed_before: datetime, now: datetime) -> Sequence[MessageChangedV1]:
        """Call unknown what was claimed so long ago that its sender must be gone."""

    async def paused_until(self, now: datetime) -> datetime | None: ...
    async def pause(self, until: datetime, reason: str, now: datetime) -> bool:
        """Stop all senders of the installation; True when they were running."""


@dataclass(frozen=True, slots=True)
class StatusNews:
    """What the provider says became of a message, found by our reference or else by the provider's id.

    ``error_code`` is the provider's when it failed, ``whatsapp_phone`` the recipient's number as the provider knows it.
    """

    reference: str | None
    provider_message_id: str
    state: MessageState
    error_code: int | None = None
    person_user_id: str | None = None
    whatsapp_phone: str | None = None

    @property
    def reason(self) -> str | None:
        return None if self.state is not MessageState.FAILED else f"whatsapp_{self.error_code or 'unspecified'}"


@dataclass(frozen=True, slots=True)
class Wish:
    """A person wants no messages, or wants them again. Any of the three may tell who it is."""

    phone: str | None
    user_id: str | None
    reply_to: str | None
    opted_out: bool
    said_at: datetime


class Lessons(Protocol):
    """What is learnt from the provider's webhooks; the same twice, or in any order, ends the same."""

    async def status(self, news: StatusNews, now: datetime) -> Sequence[MessageChangedV1]:
        """Move the message forward; what an account fault stopped is planned again, no try burnt."""

    async def wish(self, wish: Wish, now: datetime) -> Sequence[MessageChangedV1]: ...
