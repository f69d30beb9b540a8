"""The organisations, contacts and invoices kept in memory, and the changes a bookkeeper can make to them."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

ZERO = Decimal(0)
InvoiceType = Literal["ACCREC", "ACCPAY"]
Status = Literal["DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED"]
ContactStatus = Literal["ACTIVE", "ARCHIVED", "GDPRREQUEST"]
PhoneType = Literal["DDI", "DEFAULT", "FAX", "MOBILE"]
PHONE_TYPES: tuple[PhoneType, ...] = ("DDI", "DEFAULT", "FAX", "MOBILE")


class BookError(ValueError):
    """A change that the books do not allow; the message says why."""


@dataclass(slots=True)
class Organisation:
    """One Xero organisation; `timezone` is Xero's own name, such as INDIASTANDARDTIME."""

    tenant_id: str
    name: str
    country: str
    timezone: str
    currency: str
    created: datetime


@dataclass(slots=True)
class Phone:
    """One of a contact's telephone numbers, as typed by a bookkeeper."""

    type: PhoneType
    number: str = ""
    area: str = ""
    country: str = ""


@dataclass(slots=True)
class Contact:
    """One customer or supplier; `status` is ACTIVE, ARCHIVED or GDPRREQUEST."""

    contact_id: str
    tenant_id: str
    name: str
    first_name: str
    last_name: str
    email: str
    status: ContactStatus
    phones: list[Phone]
    address_country: str
    updated: datetime
    merged_to: str | None = None
    groups: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Payment:
    """Money received against an invoice."""

    payment_id: str
    paid_on: date
    amount: Decimal


@dataclass(slots=True)
class Invoice:
    """One invoice or bill; money is in `currency`, dates are calendar dates of the organisation."""

    invoice_id: str
    tenant_id: str
    contact_id: str
    number: str
    type: InvoiceType
    status: Status
    issue_date: date
    due_date: date | None
    currency: str
    total: Decimal
    updated: datetime
    credited: Decimal = ZERO
    reference: str = ""
    expected_payment_date: date | None = None
    sent_to_contact: bool = False
    created_by_my_app: bool = False
    payments: list[Payment] = field(default_factory=list)
    fully_paid_on: date | None = None

    @property
    def paid(self) -> Decimal:
        """What has been paid so far."""
        return sum((payment.amount for payment in self.payments), ZERO)

    @property
    def due(self) -> Decimal:
        """What is still owed; nothing on a voided or deleted document."""
        if self.status in {"VOIDED", "DELETED"}:
            return ZERO
        return self.total - self.paid - self.credited


@dataclass(slots=True)
class Books:
    """All organisations' data; every change takes the time from `clock`."""

    clock: Callable[[], datetime]
    organisations: dict[str, Organisation] = field(default_factory=dict)
    contacts: dict[str, dict[str, Contact]] = field(default_factory=dict)
    invoices: dict[str, dict[str, Invoice]] = field(default_factory=dict)
    serial: int = 0

    def add_organisation(
        self, name: str, country: str, timezone: str, currency: str, tenant_id: str | None = None
    ) -> Organisation:
        """A new organisation with empty books."""
        tenant = tenant_id or new_id()
        self.organisations[tenant] = Organisation(tenant, name, country, timezone, currency, self.clock())
        self.contacts.setdefault(tenant, {})
        self.invoices.setdefault(tenant, {})
        return self.organisations[tenant]

    def next_serial(self) -> int:
        """A number used once in this sandbox."""
        self.serial += 1
        return self.serial

    def find(self, invoice_id: str) -> Invoice:
        """The invoice of any tenant; BookError when there is none."""
        for invoices in self.invoices.values():
            if invoice_id in invoices:
                return invoices[invoice_id]
        raise BookError(f"no invoice {invoice_id}")

    def find_contact(self, contact_id: str) -> Contact:
        """The contact of any tenant; BookError when there is none."""
        for contacts in self.contacts.values():
            if contact_id in contacts:
                return contacts[contact_id]
        raise BookError(f"no contact {contact_id}")

    def pay(self, invoice: Invoice, amount: Decimal | None, on: date) -> None:
        """Receive `amount`, or all that is owed; an invoice owing nothing becomes PAID."""
        if invoice.status != "AUTHORISED":
            raise BookError(f"only an AUTHORISED invoice can be paid, this one is {invoice.status}")
        received = invoice.due if amount is None else amount
        if not ZERO < received <= invoice.due:
            raise BookError("a payment is more than nothing and at most what is due")
        invoice.payments.append(Payment(new_id(), on, received))
        self.settle(invoice, on)

    def void(self, invoice: Invoice) -> None:
        """Make the invoice void; one with payments cannot be."""
        if invoice.payments or invoice.status in {"VOIDED", "DELETED", "PAID"}:
            raise BookError(f"a {invoice.status} invoice with {len(invoice.payments)} payments cannot be voided")
        invoice.status = "VOIDED"
        self.touch(invoice)

    def authorise(self, invoice: Invoice) -> None:
        """Approve a draft."""
        if invoice.status not in {"DRAFT", "SUBMITTED"}:
            raise BookError(f"only a draft can be authorised, this one is {invoice.status}")
        invoice.status = "AUTHORISED"
        self.touch(invoice)

    def touch(self, thing: Invoice | Contact) -> None:
        """Move the time of the last change."""
        thing.updated = self.clock()

    def settle(self, invoice: Invoice, on: date) -> None:
        """Move the time of the last change; an AUTHORISED invoice that owes nothing becomes PAID."""
        if invoice.status == "AUTHORISED" and invoice.due == ZERO:
            invoice.status, invoice.fully_paid_on = "PAID", on
        self.touch(invoice)


def new_id() -> str:
    """A fresh GUID."""
    return str(uuid.uuid4())
