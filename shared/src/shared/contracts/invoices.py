"""An invoice as the notifier needs it: with its contact's number, its organisation, and why it was read."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from shared.contracts.base import Contract, Currency, Event, Identifier, UtcTime

BEYOND_ANY_AMOUNT = 10**16
"""No invoice is of so much; arithmetic with many more digits fails, and with it whoever is to write the message."""
FINEST_DIGITS = 10
"""After the point, far more than any currency has: a number may be small and a million digits long."""
Amount = Annotated[Decimal, Field(gt=-BEYOND_ANY_AMOUNT, lt=BEYOND_ANY_AMOUNT, decimal_places=FINEST_DIGITS)]


class Invoice(Contract):
    """A Xero invoice or bill. ``type`` is ACCREC for a sale, ACCPAY for a bill; amounts are in ``currency``.

    ``status`` is Xero's word: DRAFT, SUBMITTED, AUTHORISED, PAID, VOIDED or DELETED, or one it adds later.
    Dates are calendar dates; "overdue" is judged in the organisation's time zone. ``online_url`` is Xero's page for the
    customer and ``no_link_reason`` a word that says why there is none; both are None where nobody asked for it.
    """

    invoice_id: Identifier
    number: str
    type: str
    status: str
    total: Amount
    amount_due: Amount
    amount_paid: Amount
    amount_credited: Amount
    currency: Currency
    issued_on: date | None
    due_on: date | None
    expected_payment_on: date | None
    updated_at: UtcTime | None
    online_url: str | None = None
    no_link_reason: str | None = None


class NoPhoneReason(StrEnum):
    """Why a contact cannot be reached on WhatsApp."""

    NONE_GIVEN = "none_given"
    NOT_A_MOBILE = "not_a_mobile"
    INVALID = "invalid"
    AMBIGUOUS_COUNTRY = "ambiguous_country"


class ContactGroup(Contract):
    """One of the groups into which the organisation sorts its contacts in Xero."""

    group_id: str
    name: str


class Contact(Contract):
    """Whom the invoice is for. Exactly one of ``phone`` (E.164, with ``+``) and ``no_phone_reason`` is set.

    ``status`` is Xero's word (ACTIVE, ARCHIVED, GDPRREQUEST), or MERGED for a contact that became another one.
    ``groups`` is None where this reading does not tell them.
    """

    contact_id: Identifier
    name: str
    status: str
    phone: Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$")] | None
    no_phone_reason: NoPhoneReason | None
    groups: tuple[ContactGroup, ...] | None = None


class Organisation(Contract):
    """The Xero organisation. ``time_zone`` is an IANA name, ``country`` an ISO 3166 alpha-2 code."""

    name: str
    time_zone: str
    country: str
    base_currency: Currency


class CauseKind(StrEnum):
    WEBHOOK = "webhook"
    SCAN = "scan"
    RECONCILE = "reconcile"
    LOOK = "look"


class Cause(Contract):
    """Why the invoice was read. ``event_type`` and ``event_at`` are of the webhook, if that was why."""

    kind: CauseKind
    event_type: str | None = None
    event_at: UtcTime | None = None


class InvoiceEnrichedV1(Event):
    """The state of one invoice at ``read_at``; never an instruction to send."""

    key: ClassVar[str] = "invoice.enriched.v1"

    tenant_id: Identifier
    invoice: Invoice
    contact: Contact
    organisation: Organisation
    read_at: UtcTime
    cause: Cause


class OrganisationReadV1(Event):
    """What Xero says of an organisation; published whenever the fetcher has read it."""

    key: ClassVar[str] = "organisation.read.v1"

    tenant_id: Identifier
    organisation: Organisation
    read_at: UtcTime
