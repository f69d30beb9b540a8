"""Reads Xero's JSON into our values: tolerant of what is missing, exact about what is wrong."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from pydantic import ValidationError

from fetcher.countries import country_code
from fetcher.fields import Json, Unreadable, amount, count, day, free_text, instant, items, needed, record, text
from fetcher.phones import phone_of
from fetcher.ports import ContactCard, InvoicePage, InvoiceRow, Phone, UnreadableInvoice
from fetcher.time_zones import iana_name
from shared.contracts.invoices import Contact, ContactGroup, Invoice, NoPhoneReason, Organisation

T = TypeVar("T")

UNKNOWN_STATUS = "UNKNOWN"
"""The status of a contact that an invoice names but Xero does not show."""
MERGED = "MERGED"
"""The status of a contact that became another one; Xero leaves it ACTIVE."""


def invoice_page(envelope: Json, read_at: datetime, *, single: bool = False) -> InvoicePage:
    """Read an answer of ``/Invoices``; one bad invoice spoils no other. ``single`` says that it was asked for alone.

    Raises:
        Unreadable: there is no list of invoices.
    """
    rows: list[InvoiceRow] = []
    unreadable: list[UnreadableInvoice] = []
    for raw in items(envelope, "Invoices"):
        try:
            rows.append(invoice_row(raw, single=single))
        except Unreadable as problem:
            unreadable.append(UnreadableInvoice(free_text(raw, "InvoiceID").lower(), problem.field))
    paging = envelope.get("pagination")
    return InvoicePage(
        rows=tuple(rows),
        unreadable=tuple(unreadable),
        read_at=read_at,
        server_time=_server_time(envelope),
        page_count=count(paging, "pageCount"),
        item_count=count(paging, "itemCount"),
    )


def invoice_row(raw: object, *, single: bool = False) -> InvoiceRow:
    """Read one invoice. Only one that was asked for alone carries its contact's numbers. Raises Unreadable."""
    source = record(raw, "Invoice")
    contact = record(source.get("Contact"), "Contact")
    invoice = _valid(
        "Invoice",
        lambda: Invoice(
            invoice_id=needed(source, "InvoiceID").lower(),
            number=text(source, "InvoiceNumber"),
            type=needed(source, "Type").upper(),
            status=needed(source, "Status").upper(),
            total=amount(source, "Total"),
            amount_due=amount(source, "AmountDue"),
            amount_paid=amount(source, "AmountPaid", Decimal(0)),
            amount_credited=amount(source, "AmountCredited", Decimal(0)),
            currency=needed(source, "CurrencyCode").upper(),
            issued_on=day(source, "Date"),
            due_on=day(source, "DueDate"),
            expected_payment_on=day(source, "ExpectedPaymentDate"),
            updated_at=instant(source, "UpdatedDateUTC"),
        ),
    )
    return InvoiceRow(
        invoice=invoice,
        contact_id=needed(contact, "ContactID", "Contact.ContactID").lower(),
        contact_name=free_text(contact, "Name"),
        card=contact_card(contact) if single and "ContactStatus" in contact else None,
    )


def contact_card(raw: object, *, told: bool = False) -> ContactCard:
    """Read one contact. ``told`` says that a contact without groups is in none. Raises Unreadable."""
    source = record(raw, "Contact")
    phones = source.get("Phones")
    status = free_text(source, "ContactStatus").upper() or UNKNOWN_STATUS
    return ContactCard(
        contact_id=needed(source, "ContactID", "Contact.ContactID").lower(),
        name=free_text(source, "Name"),
        status=MERGED if source.get("MergedToContactID") else status,
        phones=tuple(
            Phone(
                free_text(phone, "PhoneType").upper(),
                free_text(phone, "PhoneCountryCode"),
                free_text(phone, "PhoneAreaCode"),
                free_text(phone, "PhoneNumber"),
            )
            for phone in (phones if isinstance(phones, list) else ())
        ),
        country=_address_country(source),
        groups=_groups(source, told=told),
    )


def contact_cards(envelope: Json) -> tuple[ContactCard, ...]:
    """Read an answer of ``/Contacts``, leaving out what has no id. Raises Unreadable when there is no list."""
    return tuple(contact_card(raw, told=True) for raw in items(envelope, "Contacts") if free_text(raw, "ContactID"))


def organisation(envelope: Json) -> tuple[Organisation, str | None]:
    """Read an answer of ``/Organisation``: the organisation, and Xero's name of its time zone if we do not know it.

    Raises:
        Unreadable: with the field's name.
    """
    source = record(next(iter(items(envelope, "Organisations")), None), "Organisations")
    xero_zone = free_text(source, "Timezone")
    zone = iana_name(xero_zone)
    found = _valid(
        "Organisation",
        lambda: Organisation(
            name=free_text(source, "Name"),
            time_zone=zone or "UTC",
            country=free_text(source, "CountryCode").upper(),
            base_currency=needed(source, "BaseCurrency").upper(),
        ),
    )
    return found, None if zone else xero_zone[:60]


def online_address(envelope: Json) -> str | None:
    """Read an answer of ``/OnlineInvoice``. Raises Unreadable when there is no list."""
    return free_text(next(iter(items(envelope, "OnlineInvoices")), None), "OnlineInvoiceUrl") or None


def contact_of(card: ContactCard, organisation_country: str) -> Contact:
    """The contact as it is published: one number in E.164, or the reason why there is none."""
    phone = phone_of(card.phones, organisation_country, card.country)
    reason = phone if isinstance(phone, NoPhoneReason) else None
    return Contact(
        contact_id=card.contact_id,
        name=card.name,
        status=card.status,
        phone=None if reason else phone,
        no_phone_reason=reason,
        groups=card.groups,
    )


def unknown_contact(contact_id: str, name: str) -> Contact:
    """What is published of a contact that Xero does not show: nobody to write to."""
    return Contact(
        contact_id=contact_id,
        name=name,
        status=UNKNOWN_STATUS,
        phone=None,
        no_phone_reason=NoPhoneReason.NONE_GIVEN,
    )


def _server_time(envelope: Json) -> datetime | None:
    try:
        return instant(envelope, "DateTimeUTC")
    except Unreadable:
        return None


def _groups(source: Json, *, told: bool) -> tuple[ContactGroup, ...] | None:
    raw = source.get("ContactGroups")
    found = tuple(
        ContactGroup(group_id=free_text(group, "ContactGroupID").lower(), name=free_text(group, "Name"))
        for group in (raw if isinstance(raw, list) else ())
    )
    return found if found or told else None


def _address_country(source: Json) -> str | None:
    addresses = source.get("Addresses")
    names = (free_text(address, "Country") for address in addresses) if isinstance(addresses, list) else iter(())
    return next((country_code(name) for name in names if name), None)


def _valid(what: str, build: Callable[[], T]) -> T:
    """Build a contract; what its own rules refuse is named by field, never by value."""
    try:
        return build()
    except ValidationError as error:
        where = error.errors(include_url=False, include_input=False, include_context=False)[0]["loc"]
        raise Unreadable(f"{what}.{where[0] if where else ''}".rstrip(".")) from None
