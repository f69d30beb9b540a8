"""Reads one field of Xero's JSON, or says by name which one is missing or wrong."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from fetcher.dates import calendar_date, moment
from shared.contracts.invoices import BEYOND_ANY_AMOUNT, FINEST_DIGITS

Json = Mapping[str, Any]
T = TypeVar("T")


class Unreadable(Exception):  # noqa: N818 - said of the JSON, not of us
    """``field`` is missing or not what it should be; the text never holds its value."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def record(raw: object, field: str) -> Json:
    if not isinstance(raw, Mapping):
        raise Unreadable(field)
    return raw


def items(raw: Json, field: str) -> list[Any]:
    """A missing list says nothing: only one that is there may be empty."""
    value = raw.get(field)
    if not isinstance(value, list):
        raise Unreadable(field)
    return value


def free_text(raw: object, field: str) -> str:
    """For what people typed: whatever is no text counts as empty."""
    value = raw.get(field) if isinstance(raw, Mapping) else None
    return value.strip() if isinstance(value, str) else ""


def text(raw: Json, field: str) -> str:
    value = raw.get(field)
    if value is not None and not isinstance(value, str):
        raise Unreadable(field)
    return (value or "").strip()


def needed(raw: Json, field: str, name: str | None = None) -> str:
    value = raw.get(field)
    if not isinstance(value, str) or not value.strip():
        raise Unreadable(name or field)
    return value.strip()


def amount(raw: Json, field: str, absent: Decimal | None = None) -> Decimal:
    """A JSON number that can be an amount; ``absent`` stands for a missing one where that may be."""
    value = raw.get(field)
    if value is None and absent is not None:
        return absent
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Unreadable(field)
    number = Decimal(value)
    # A place in the table of digits, or a word for what is no number at all.
    finest = number.as_tuple().exponent
    if not isinstance(finest, int) or finest < -FINEST_DIGITS or abs(number) >= BEYOND_ANY_AMOUNT:
        raise Unreadable(field)
    return number


def day(raw: Json, field: str) -> date | None:
    """``DueDate``, or ``DueDateString`` where only that is given."""
    return _dated(raw, field, calendar_date) or _dated(raw, f"{field}String", calendar_date)


def instant(raw: Json, field: str) -> datetime | None:
    return _dated(raw, field, moment)


def count(raw: object, field: str) -> int | None:
    value = raw.get(field) if isinstance(raw, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _dated(raw: Json, field: str, read: Callable[[str], T]) -> T | None:
    value = text(raw, field)
    if not value:
        return None
    try:
        return read(value)
    except ValueError as error:
        raise Unreadable(field) from error
