"""How Xero writes invoices, contacts, organisations, dates and errors as JSON."""

import math
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from sandbox.books import PHONE_TYPES, Contact, Invoice, Organisation, Payment

Json = dict[str, Any]
PROVIDER = "Sandbox"


def ms_date(value: date | datetime, offset: str = "+0000") -> str:
    """`/Date(1518685950940+0000)/`; a calendar date is written as midnight UTC."""
    moment = value if isinstance(value, datetime) else datetime.combine(value, time(), UTC)
    return f"/Date({math.floor(moment.timestamp() * 1000)}{offset})/"


def envelope(now: datetime, **content: Any) -> Json:
    """The wrapper around every accounting answer; `pagination` comes before the rows when given."""
    return {
        "Id": str(uuid.uuid4()),
        "Status": "OK",
        "ProviderName": PROVIDER,
        "DateTimeUTC": ms_date(now, offset=""),
        **content,
    }


def pagination(page: int, size: int, items: int) -> Json:
    """The paging block of a list."""
    return {"page": page, "pageSize": size, "pageCount": math.ceil(items / size), "itemCount": items}


def contact_stub(contact: Contact) -> Json:
    """A contact as an invoice list carries it: id and name, every array empty."""
    return {
        "ContactID": contact.contact_id,
        "Name": contact.name,
        "Addresses": [],
        "Phones": [],
        "ContactGroups": [],
        "ContactPersons": [],
        "HasValidationErrors": False,
    }


def contact_json(contact: Contact, *, grouped: bool = False) -> Json:
    """A contact in full; all four telephone types, unset ones as empty strings.

    `grouped` shows its groups: a contact read alone or in a page does, one in an invoice or a bare list does not.
    """
    phones = {phone.type: phone for phone in contact.phones}
    body: Json = {
        "ContactID": contact.contact_id,
        "ContactStatus": contact.status,
        "Name": contact.name,
        "FirstName": contact.first_name,
        "LastName": contact.last_name,
        "EmailAddress": contact.email,
        "BankAccountDetails": "",
        "Addresses": [
            {"AddressType": kind, "City": "", "Region": "", "PostalCode": "", "Country": country, "AttentionTo": ""}
            for kind, country in (("STREET", contact.address_country), ("POBOX", ""))
        ],
        "Phones": [
            {
                "PhoneType": kind,
                "PhoneNumber": phones[kind].number if kind in phones else "",
                "PhoneAreaCode": phones[kind].area if kind in phones else "",
                "PhoneCountryCode": phones[kind].country if kind in phones else "",
            }
            for kind in PHONE_TYPES
        ],
        "UpdatedDateUTC": ms_date(contact.updated),
        "ContactGroups": [_group_json(contact.tenant_id, name) for name in contact.groups] if grouped else [],
        "IsSupplier": False,
        "IsCustomer": True,
        "ContactPersons": [],
        "HasAttachments": False,
        "HasValidationErrors": False,
    }
    if contact.merged_to:
        body["MergedToContactID"] = contact.merged_to
    return body


def _group_json(tenant_id: str, name: str) -> Json:
    group_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tenant_id}/{name}"))
    return {"ContactGroupID": group_id, "Name": name, "Status": "ACTIVE"}


def invoice_json(invoice: Invoice, contact: Contact, *, full: bool, lines: bool, summary: bool = False) -> Json:
    """One invoice: `full` carries the whole contact, `lines` the line items; `summary` drops what summaryOnly drops."""
    body: Json = {
        "Type": invoice.type,
        "InvoiceID": invoice.invoice_id,
        "InvoiceNumber": invoice.number,
        "Reference": invoice.reference,
    }
    if not summary:
        body["Payments"] = [_payment_json(payment) for payment in invoice.payments]
    body |= {
        "CreditNotes": [_credit_json(invoice)] if invoice.credited and not summary else [],
        "Prepayments": [],
        "Overpayments": [],
        "AmountDue": number(invoice.due),
        "AmountPaid": number(invoice.paid),
        "AmountCredited": number(invoice.credited),
        "CurrencyRate": 1.0,
        "IsDiscounted": False,
        "HasErrors": False,
    }
    if invoice.sent_to_contact:
        body["SentToContact"] = True
    if not summary:
        body["HasAttachments"] = False
    body["Contact"] = contact_json(contact) if full else contact_stub(contact)
    body |= _dates(invoice)
    body |= {"Status": invoice.status, "LineAmountTypes": "Exclusive"}
    if not summary:
        body["LineItems"] = [_line_json(invoice)] if lines else []
    body |= {
        "SubTotal": number(invoice.total),
        "TotalTax": 0.0,
        "Total": number(invoice.total),
        "UpdatedDateUTC": ms_date(invoice.updated),
        "UpdatedDateUTCString": invoice.updated.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "CurrencyCode": invoice.currency,
    }
    if invoice.fully_paid_on:
        body["FullyPaidOnDate"] = ms_date(invoice.fully_paid_on)
    return body


def organisation_json(organisation: Organisation) -> Json:
    """The organisation record; `Timezone` is one of Xero's 141 names."""
    return {
        "Name": organisation.name,
        "LegalName": organisation.name,
        "PaysTax": True,
        "Version": organisation.country if organisation.country in {"AU", "NZ", "US"} else "GLOBAL",
        "OrganisationType": "COMPANY",
        "BaseCurrency": organisation.currency,
        "CountryCode": organisation.country,
        "IsDemoCompany": False,
        "OrganisationStatus": "ACTIVE",
        "FinancialYearEndDay": 31,
        "FinancialYearEndMonth": 3,
        "CreatedDateUTC": ms_date(organisation.created, offset=""),
        "OrganisationEntityType": "COMPANY",
        "Timezone": organisation.timezone,
        "ShortCode": f"!{organisation.tenant_id[:5]}",
        "OrganisationID": organisation.tenant_id,
        "Edition": "BUSINESS",
        "Class": "STANDARD",
        "Addresses": [],
        "Phones": [{"PhoneType": "OFFICE", "PhoneNumber": "5550100", "PhoneAreaCode": "22"}],
        "ExternalLinks": [],
        "PaymentTerms": {},
    }


def validation_error(message: str, number_: int = 10, type_: str = "ValidationException") -> Json:
    """The body of a 400."""
    if type_ != "ValidationException":
        return {"ErrorNumber": number_, "Type": type_, "Message": message}
    return {
        "ErrorNumber": number_,
        "Type": type_,
        "Message": "A validation exception occurred",
        "Elements": [{"ValidationErrors": [{"Message": message}]}],
    }


def problem(status: int, title: str, detail: str) -> Json:
    """The body of a 401 or 403."""
    return {
        "Type": None,
        "Title": title,
        "Status": status,
        "Detail": detail,
        "Instance": str(uuid.uuid4()),
        "Extensions": {},
    }


def number(amount: Decimal) -> float:
    """Money as a JSON number."""
    return float(amount)


def _dates(invoice: Invoice) -> Json:
    dates: Json = {"DateString": f"{invoice.issue_date}T00:00:00", "Date": ms_date(invoice.issue_date)}
    if invoice.due_date:
        dates |= {"DueDateString": f"{invoice.due_date}T00:00:00", "DueDate": ms_date(invoice.due_date)}
    if invoice.expected_payment_date:
        dates["ExpectedPaymentDateString"] = f"{invoice.expected_payment_date}T00:00:00"
        dates["ExpectedPaymentDate"] = ms_date(invoice.expected_payment_date)
    return dates


def _payment_json(payment: Payment) -> Json:
    return {
        "PaymentID": payment.payment_id,
        "Date": ms_date(payment.paid_on),
        "Amount": number(payment.amount),
        "CurrencyRate": 1.0,
        "HasAccount": False,
        "HasValidationErrors": False,
    }


def _credit_json(invoice: Invoice) -> Json:
    return {
        "CreditNoteID": str(uuid.uuid5(uuid.NAMESPACE_OID, invoice.invoice_id)),
        "CreditNoteNumber": f"CN-{invoice.number}",
        "AppliedAmount": number(invoice.credited),
        "Total": number(invoice.credited),
        "HasErrors": False,
    }


def _line_json(invoice: Invoice) -> Json:
    return {
        "LineItemID": str(uuid.uuid5(uuid.NAMESPACE_URL, invoice.invoice_id)),
        "Description": "Goods and services",
        "UnitAmount": number(invoice.total),
        "TaxType": "NONE",
        "TaxAmount": 0.0,
        "LineAmount": number(invoice.total),
        "AccountCode": "200",
        "Tracking": [],
        "Quantity": 1.0,
    }
