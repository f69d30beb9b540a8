"""The values the notifier reasons about: what an invoice was last seen to be, and what is to be said of it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from shared.contracts.base import Contract, Identifier, UtcTime
from shared.contracts.invoices import Contact, Invoice, InvoiceEnrichedV1, NoPhoneReason, Organisation
from shared.contracts.messages import MessageChangedV1, MessageKind, MessageState

PENDING = frozenset({MessageState.PLANNED, MessageState.HELD})
"""States in which nothing has left and nothing is leaving."""
LEFT = frozenset(
    {
        MessageState.SENDING,
        MessageState.ACCEPTED,
        MessageState.SENT,
        MessageState.DELIVERED,
        MessageState.READ,
        MessageState.UNKNOWN,
    }
)
"""States of a message that has left or may have."""
ERASED = "erased"
"""Stands in the ledger where a person was."""
REJECTED = "rejected"
"""Why a message is cancelled that a person refused: it is not planned again."""
CLOSED_BY_PERSON = "closed_by_person"
"""Why a message failed that a person gave up."""
WEEK = timedelta(days=7)
MONTH = timedelta(days=31)
"""What a cap looks back on: as long as the longest month, so that none holds more."""


CLOCKS_DIFFER = timedelta(seconds=5)
"""How far the machines' clocks may be apart; a moment later than that from now was told by one that ran ahead."""


class Snapshot(Contract):
    """One invoice as it was at ``read_at``."""

    tenant_id: Identifier
    invoice: Invoice
    contact: Contact
    organisation: Organisation
    read_at: UtcTime

    @classmethod
    def of(cls, event: InvoiceEnrichedV1) -> "Snapshot":
        return cls(
            tenant_id=event.tenant_id,
            invoice=event.invoice,
            contact=event.contact,
            organisation=event.organisation,
            read_at=event.read_at,
        )

    def as_read_by(self, moment: datetime) -> "Snapshot":
        """The same, read no later than ``moment``."""
        return self if self.read_at <= moment else self.model_copy(update={"read_at": moment})

    def _is_newer_than(self, other: "Snapshot") -> bool:
        """By Xero's own word, where it tells the two apart: whose clock was wrong at a reading does not matter then."""
        changed, other_changed = self.invoice.updated_at, other.invoice.updated_at
        if changed is None or other_changed is None or changed == other_changed:
            return self.read_at > other.read_at
        return changed > other_changed

    def without_person(self) -> "Snapshot":
        """The invoice alone: nobody is known by it, and nobody can be written to."""
        nobody = Contact(
            contact_id=ERASED, name="", status="ERASED", phone=None, no_phone_reason=NoPhoneReason.NONE_GIVEN
        )
        # The link's page shows the person.
        invoice = self.invoice.model_copy(update={"online_url": None})
        return self.model_copy(update={"contact": nobody, "invoice": invoice})

    def after(self, before: "Snapshot | None") -> "Snapshot":
        """The newer of the two. A link once known is not forgotten, and an answer about it counts however late.

        Nor are the contact's groups, where the newer reading does not tell them.
        """
        if before is None:
            return self
        newest, other = (before, self) if before._is_newer_than(self) else (self, before)
        url = newest.invoice.online_url or other.invoice.online_url
        reason = None if url else newest.invoice.no_link_reason or self.invoice.no_link_reason
        invoice = newest.invoice.model_copy(update={"online_url": url, "no_link_reason": reason})
        contact = newest.contact
        if contact.groups is None and contact.contact_id == other.contact.contact_id:
            contact = contact.model_copy(update={"groups": other.contact.groups})
        return newest.model_copy(update={"invoice": invoice, "contact": contact})


@dataclass(frozen=True, slots=True)
class Tenant:
    """``connected_at`` is the first sight of the organisation until its connection was announced."""

    tenant_id: str
    connected_at: datetime
    announced: bool
    lost: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """What one message came to."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Intent:
    """One message that is to be said once; ``due_on`` is the due date it was planned for, ``due_at`` when it may leave.

    ``stage`` is a reminder's offset in days. ``claimed_at`` is when it was last about to be sent. ``looks`` counts the
    unanswered requests for a fresh snapshot, the next of which may be made at ``look_after``. Until ``link_until`` the
    message waits for the online link that was asked for last. ``statement`` is the attempt in which it left last
    together with others, ``statement_of`` how many they were.
    """

    intent_id: str
    tenant_id: str
    invoice_id: str
    invoice_number: str
    contact_id: str
    kind: MessageKind
    stage: int | None
    state: MessageState
    reason: str | None
    due_on: date | None
    due_at: datetime
    created_at: datetime
    claimed_at: datetime | None
    released: bool
    tries: int
    correlation_id: str | None
    looks: int = 0
    look_after: datetime | None = None
    link_until: datetime | None = None
    statement: str | None = None
    statement_of: int | None = None

    @property
    def pending(self) -> bool:
        return self.state in PENDING

    @property
    def left(self) -> bool:
        """Whether it has left or may have: also what a person gave up without knowing its end."""
        return self.state in LEFT or (self.state is MessageState.FAILED and self.reason == CLOSED_BY_PERSON)

    @property
    def revivable(self) -> bool:
        """A cancelled reminder that never reached the provider may be planned again: still one message."""
        cancelled = self.state is MessageState.CANCELLED and self.reason != REJECTED
        return self.kind is MessageKind.REMINDER and cancelled and self.claimed_at is None

    def changed(
        self, state: MessageState, reason: str | None, at: datetime, cost: Cost | None = None
    ) -> MessageChangedV1:
        """The fact that this intent reached ``state``."""
        return MessageChangedV1(
            intent_id=self.intent_id,
            tenant_id=self.tenant_id,
            invoice_id=self.invoice_id,
            invoice_number=self.invoice_number,
            kind=self.kind,
            stage=self.stage,
            state=state,
            reason=reason,
            statement_of=self.statement_of if state in LEFT or state is MessageState.FAILED else None,
            cost=cost.amount if cost else None,
            currency=cost.currency if cost else None,
            changed_at=at,
        )


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger knows besides the invoice.

    The counts are of the person's reminders from this organisation within the last ``WEEK`` and ``MONTH``, over all
    invoices: of the Xero contact, whatever its number was, and of every contact that was written to at its number. What
    left in one statement counts once, and so does what is gathered for one. ``gathers_until`` is when the reminders are
    due that are gathered now for this contact at this number.
    """

    tenant: Tenant
    intents: tuple[Intent, ...] = ()
    issue_judged: bool = False
    opted_out: bool = False
    erased: bool = False
    reminders_this_week: int = 0
    reminders_this_month: int = 0
    gathers_until: datetime | None = None
    replied_at: datetime | None = None
    """When the person last answered this organisation, unless somebody has dealt with it."""

    def intent(self, kind: MessageKind, stage: int | None) -> Intent | None:
        return next((intent for intent in self.intents if (intent.kind, intent.stage) == (kind, stage)), None)


class Verdict(StrEnum):
    PLAN = "plan"
    HOLD = "hold"
    SUPPRESS = "suppress"
    SKIP = "skip"
    CANCEL = "cancel"
    POSTPONE = "postpone"
    SEND = "send"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one candidate message and the rule that said so.

    ``weak`` marks an answer that must not replace an earlier one about the same candidate, ``gathers`` a reminder that
    is to leave together with others of its contact.
    """

    kind: MessageKind
    stage: int | None
    verdict: Verdict
    rule: str
    due_at: datetime | None = None
    weak: bool = False
    gathers: bool = False
