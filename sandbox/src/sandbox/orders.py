"""The bodies the admin API takes; unknown fields are refused."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.books import ContactStatus, InvoiceType, PhoneType, Status


class Order(BaseModel):
    """What every body has in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewOrganisation(Order):
    """An organisation; connected to `user` at once when `connect` is set and that user has consented before."""

    name: str = "Sharma Traders"
    country: str = Field("IN", pattern="^[A-Z]{2}$")
    timezone: str = "INDIASTANDARDTIME"
    currency: str = Field("INR", pattern="^[A-Z]{3}$")
    tenant_id: str | None = None


class NewPhone(Order):
    """A telephone number in Xero's three free-text parts."""

    type: PhoneType = "MOBILE"
    number: str = Field("", max_length=50)
    area: str = Field("", max_length=10)
    country: str = Field("", max_length=20)


class NewContact(Order):
    """A contact; `phone` is short for one MOBILE number given whole."""

    tenant_id: str
    name: str = "Asha Traders"
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    status: ContactStatus = "ACTIVE"
    phone: str | None = None
    phones: list[NewPhone] = []
    address_country: str = ""
    merged_to: str | None = None
    groups: list[str] = []


class NewInvoice(Order):
    """An invoice; without `number` one is made up; money as text or number in the organisation's currency."""

    tenant_id: str
    contact_id: str
    number: str | None = None
    type: InvoiceType = "ACCREC"
    status: Status = "AUTHORISED"
    issue_date: date
    due_date: date | None = None
    total: Decimal = Field(Decimal(1000), gt=0)
    paid: Decimal = Field(Decimal(0), ge=0)
    credited: Decimal = Field(Decimal(0), ge=0)
    currency: str | None = None
    reference: str = ""
    expected_payment_date: date | None = None
    sent_to_contact: bool = False


class InvoiceChange(Order):
    """Fields to change; those left out stay."""

    due_date: date | None = None
    issue_date: date | None = None
    expected_payment_date: date | None = None
    total: Decimal | None = Field(None, gt=0)
    credited: Decimal | None = Field(None, gt=0)
    reference: str | None = None
    number: str | None = None
    status: Status | None = None
    sent_to_contact: bool | None = None


class ContactChange(Order):
    """Fields to change; those left out stay."""

    name: str | None = None
    first_name: str | None = None
    status: ContactStatus | None = None
    phone: str | None = None
    phones: list[NewPhone] | None = None


class PaymentOrder(Order):
    """A payment; without an amount all that is due."""

    amount: Decimal | None = Field(None, gt=0)
    on: date | None = None


class BookOrder(Order):
    """The demo book for one organisation, relative to `today`."""

    tenant_id: str
    today: date


class BulkOrder(Order):
    """`count` invoices, each of its own contact; the organisation is in a country the demo book knows."""

    tenant_id: str
    count: int = Field(ge=1, le=20_000)
    issue_date: date
    due_date: date | None = None
    total: Decimal = Field(Decimal(1000), gt=0)


class EventOrder(Order):
    """One Xero webhook event."""

    tenant_id: str
    resource_id: str
    category: str = "INVOICE"
    type: str = "UPDATE"
    at: datetime | None = None
    data: dict[str, Any] | None = None


class SendOrder(Order):
    """Deliveries to make now: each event `copies` times, `batch` a POST, `concurrency` POSTs at once.

    `raw` replaces the body by any text, rightly signed unless `forged`; `signature` replaces the signature.
    """

    events: list[EventOrder] = []
    copies: int = Field(1, ge=1, le=100)
    shuffle: bool = False
    batch: int = Field(10, ge=1, le=500)
    concurrency: int = Field(1, ge=1, le=50)
    forged: bool = False
    raw: str | None = None
    signature: str | None = None


class StatusOrder(Order):
    """A message's next status; `error` (at least `code`) belongs to `failed`; `deliver` posts it now."""

    status: Literal["queued", "sent", "delivered", "read", "failed", "undelivered", "played"]
    error: dict[str, Any] | None = None
    at: datetime | None = None
    copies: int = Field(1, ge=1, le=100)
    deliver: bool = True
    forged: bool = False


class StatusBatch(Order):
    """Many statuses in one POST: pairs of wamid and status, spread over entries and changes."""

    statuses: list[tuple[str, Literal["sent", "delivered", "read", "failed"]]] = []
    copies: int = Field(1, ge=1, le=100)
    shuffle: bool = False
    per_change: int = Field(2, ge=1, le=1000)
    forged: bool = False
    raw: str | None = None


class InboundOrder(Order):
    """A customer writes a text, or taps a quick reply when `payload` is given; `context` is the wamid replied to."""

    sender: str = Field(alias="from")
    text: str = "STOP"
    name: str = "Customer"
    payload: str | None = None
    context: str | None = None
    copies: int = Field(1, ge=1, le=100)
    forged: bool = False
    provider: Literal["meta", "twilio"] = "meta"


class TemplateOrder(Order):
    """What Meta does to a template, in one language or all; a webhook follows unless `tell` is false."""

    language: str | None = None
    status: str | None = Field(None, pattern="^[A-Z_]+$")
    category: Literal["UTILITY", "MARKETING", "AUTHENTICATION"] | None = None
    quality: Literal["GREEN", "YELLOW", "RED", "UNKNOWN"] | None = None
    reason: str = "NONE"
    tell: bool = True


class ConsentOrder(Order):
    """A decision on an authorize address; no organisations named means all."""

    url: str
    allow: bool = True
    organisations: list[str] | None = None
    user: str | None = None
