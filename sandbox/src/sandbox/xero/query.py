"""Filters, orders and pages a list of invoices or contacts the way Xero's query parameters ask."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Generic, TypeVar

from sandbox.books import Contact, Invoice
from sandbox.xero.where import GUID, Field, Filter, WhereError, compile_where

CONTACT_PARAMETERS = frozenset(
    {"where", "order", "IDs", "page", "pageSize", "includeArchived", "summaryOnly", "searchTerm"}
)
INVOICE_PARAMETERS = CONTACT_PARAMETERS | {"InvoiceNumbers", "ContactIDs", "Statuses", "createdByMyApp", "unitdp"}
OPTIMISED_EQUAL = {
    "Status", "Contact.ContactID", "Contact.Name", "Contact.ContactNumber", "Reference", "InvoiceNumber", "InvoiceID",
    "Type", "AmountPaid",
}  # fmt: skip
OPTIMISED_RANGE = {"Date", "DueDate", "AmountDue"}
STATUSES = {"DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED"}
Row = TypeVar("Row", Invoice, Contact)


class QueryError(Exception):
    """A query Xero answers with 400; `breach` names the rule when the client should have known better."""

    def __init__(
        self, message: str, number: int = 10, type_: str = "ValidationException", breach: str | None = None
    ) -> None:
        """Keep what the answer needs."""
        super().__init__(message)
        self.number, self.type, self.breach = number, type_, breach


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """The rows to answer with; `number` is None when the list was not paged."""

    rows: list[Row]
    number: int | None
    size: int
    total: int
    summary: bool


def _midnight(value: date | None) -> datetime | None:
    return None if value is None else datetime.combine(value, time())


def _naive(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None)


def invoice_fields(contacts: Mapping[str, Contact]) -> dict[str, Field]:
    """What `where` and `order` may name on invoices."""
    return {
        "Type": Field(lambda row: row.type, "text"),
        "Status": Field(lambda row: row.status, "text"),
        "InvoiceNumber": Field(lambda row: row.number, "text"),
        "Reference": Field(lambda row: row.reference, "text"),
        "CurrencyCode": Field(lambda row: row.currency, "text"),
        "InvoiceID": Field(lambda row: row.invoice_id, "guid"),
        "ID": Field(lambda row: row.invoice_id, "guid"),
        "Contact.ContactID": Field(lambda row: row.contact_id, "guid"),
        "Contact.Name": Field(lambda row: contacts[row.contact_id].name, "text"),
        "AmountDue": Field(lambda row: row.due, "number"),
        "AmountPaid": Field(lambda row: row.paid, "number"),
        "AmountCredited": Field(lambda row: row.credited, "number"),
        "Total": Field(lambda row: row.total, "number"),
        "Date": Field(lambda row: _midnight(row.issue_date), "date"),
        "DueDate": Field(lambda row: _midnight(row.due_date), "date"),
        "ExpectedPaymentDate": Field(lambda row: _midnight(row.expected_payment_date), "date"),
        "FullyPaidOnDate": Field(lambda row: _midnight(row.fully_paid_on), "date"),
        "UpdatedDateUTC": Field(lambda row: _naive(row.updated), "date"),
        "SentToContact": Field(lambda row: row.sent_to_contact, "bool"),
    }


CONTACT_FIELDS = {
    "ContactID": Field(lambda row: row.contact_id, "guid"),
    "Name": Field(lambda row: row.name, "text"),
    "ContactStatus": Field(lambda row: row.status, "text"),
    "EmailAddress": Field(lambda row: row.email, "text"),
    "UpdatedDateUTC": Field(lambda row: _naive(row.updated), "date"),
}


def invoice_page(
    rows: Iterable[Invoice],
    contacts: Mapping[str, Contact],
    asked: Mapping[str, str],
    modified_since: str | None,
    high_volume_rows: int,
) -> Page[Invoice]:
    """The invoices asked for; raises QueryError."""
    fields = invoice_fields(contacts)
    everything = list(rows)
    tests = _invoice_tests(asked)
    if asked.get("where"):
        where = _where(asked["where"], fields)
        if len(everything) > high_volume_rows and not _optimised(where):
            raise QueryError("The query is too expensive for this organisation", 51, "HighVolumeException")
        tests.append(where.matches)
    return _page(_select(everything, tests, modified_since), asked, fields)


def _invoice_tests(asked: Mapping[str, str]) -> list[Callable[[Invoice], bool]]:
    tests: list[Callable[[Invoice], bool]] = []
    if "IDs" in asked:
        ids = _guids(asked["IDs"], "IDs")
        tests.append(lambda row: row.invoice_id in ids)
    if "ContactIDs" in asked:
        contact_ids = _guids(asked["ContactIDs"], "ContactIDs")
        tests.append(lambda row: row.contact_id in contact_ids)
    if "InvoiceNumbers" in asked:
        numbers = set(asked["InvoiceNumbers"].split(","))
        tests.append(lambda row: row.number in numbers)
    if "Statuses" in asked:
        statuses = set(asked["Statuses"].split(","))
        if not statuses <= STATUSES:
            raise QueryError(f"Invalid status in Statuses: {', '.join(sorted(statuses - STATUSES))}")
        tests.append(lambda row: row.status in statuses)
    if _flag(asked, "createdByMyApp"):
        tests.append(lambda row: row.created_by_my_app)
    if asked.get("searchTerm"):
        term = asked["searchTerm"].lower()
        tests.append(lambda row: any(term in text.lower() for text in (row.number, row.reference)))
    if "unitdp" in asked and asked["unitdp"] not in {"2", "3", "4"}:
        raise QueryError("unitdp is 2 to 4")
    return tests


def contact_page(rows: Iterable[Contact], asked: Mapping[str, str], modified_since: str | None) -> Page[Contact]:
    """The contacts asked for; archived and erased ones only with includeArchived; raises QueryError."""
    keep: list[Callable[[Contact], bool]] = []
    if not _flag(asked, "includeArchived"):
        keep.append(lambda row: row.status == "ACTIVE")
    if "IDs" in asked:
        ids = _guids(asked["IDs"], "IDs")
        keep.append(lambda row: row.contact_id in ids)
    if asked.get("searchTerm"):
        term = asked["searchTerm"].lower()
        keep.append(lambda row: any(term in text.lower() for text in (row.name, row.email)))
    if asked.get("where"):
        keep.append(_where(asked["where"], CONTACT_FIELDS).matches)
    return _page(_select(list(rows), keep, modified_since), asked, CONTACT_FIELDS)


def _select(rows: list[Row], tests: list[Callable[[Row], bool]], modified_since: str | None) -> list[Row]:
    since = None if modified_since is None else _since(modified_since)
    return [row for row in rows if (since is None or row.updated >= since) and all(test(row) for test in tests)]


def _page(rows: list[Row], asked: Mapping[str, str], fields: Mapping[str, Field]) -> Page[Row]:
    key, backwards = _order(asked.get("order") or "UpdatedDateUTC", fields)
    rows = sorted(rows, key=key, reverse=backwards)
    summary = _flag(asked, "summaryOnly")
    size = min(1000, max(1, _integer(asked, "pageSize", 100)))
    if not summary and "page" not in asked and "pageSize" not in asked:
        return Page(rows, None, size, len(rows), summary)
    number = max(1, _integer(asked, "page", 1))
    return Page(rows[(number - 1) * size : number * size], number, size, len(rows), summary)


def _order(text: str, fields: Mapping[str, Field]) -> tuple[Callable[[Any], Any], bool]:
    name, _, direction = text.strip().partition(" ")
    found = next((column for known, column in fields.items() if known.lower() == name.lower()), None)
    if found is None or direction.strip().upper() not in {"", "ASC", "DESC"}:
        raise QueryError(f"No property or field '{name}' to order by", 16, "QueryParseException")
    return lambda row: (found.get(row) is not None, found.get(row) or 0), direction.strip().upper() == "DESC"


def _where(text: str, fields: Mapping[str, Field]) -> Filter:
    try:
        return compile_where(text, fields)
    except WhereError as error:
        raise QueryError(str(error), 16, "QueryParseException", breach="where_syntax") from None


def _optimised(where: Filter) -> bool:
    return all(
        (operator == "==" and name in OPTIMISED_EQUAL) or (operator != "!=" and name in OPTIMISED_RANGE)
        for name, operator in where.uses
    )


def _guids(text: str, name: str) -> set[str]:
    ids = {item.strip().lower() for item in text.split(",") if item.strip()}
    if not all(GUID.fullmatch(item) for item in ids):
        raise QueryError(f"{name} must be GUIDs")
    return ids


def _flag(asked: Mapping[str, str], name: str) -> bool:
    return asked.get(name, "false").lower() == "true"


def _integer(asked: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(asked.get(name, default))
    except ValueError:
        raise QueryError(f"{name} must be a whole number") from None


def _since(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise QueryError(
            "If-Modified-Since must be YYYY-MM-DDTHH:MM:SS in UTC", breach="if_modified_since_format"
        ) from None
