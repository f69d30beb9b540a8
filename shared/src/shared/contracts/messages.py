"""What became of a WhatsApp message: a fact for anyone."""

from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from shared.contracts.base import Currency, Event, Identifier, UtcTime


class MessageKind(StrEnum):
    ISSUED = "issued"
    REMINDER = "reminder"
    PAID = "paid"


class MessageState(StrEnum):
    """Forward: planned → held or sending → accepted → sent → delivered → read; or one of the ends.

    The one way back is to planned: after a fault of the WhatsApp account, or when what is unknown is to be sent again.
    """

    PLANNED = "planned"
    HELD = "held"
    SENDING = "sending"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"


class MessageChangedV1(Event):
    """An intent reached ``state``. ``stage`` is the reminder's offset from the due date in days.

    ``statement_of`` is how many invoices its message told of, where that was a statement.
    ``cost`` comes once with each message, in ``currency``, when the provider has said what a message that arrived is
    billed as: with the state that it then reached, or with the state it is in. So the costs of all changes add up to
    what was spent. It is told at least once; what is told again has the same AMQP message id.
    """

    key: ClassVar[str] = "message.changed.v1"

    intent_id: Identifier
    tenant_id: Identifier
    invoice_id: Identifier
    invoice_number: str
    kind: MessageKind
    stage: int | None
    state: MessageState
    reason: str | None
    cost: Decimal | None = None
    statement_of: int | None = None
    currency: Currency | None = None
    changed_at: UtcTime
