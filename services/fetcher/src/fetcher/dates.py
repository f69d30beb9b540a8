"""Xero's ways of writing moments and calendar dates."""

import re
from datetime import UTC, date, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS = re.compile(r"/Date\((-?\d{1,17})(?:[+-]\d{4})?\)/")


def moment(text: str) -> datetime:
    """Read ``/Date(1518685950940+0000)/`` or ISO 8601 as aware UTC; what names no zone is UTC.

    The offset inside ``/Date()/`` tells in which zone somebody looked at it; the milliseconds are UTC with any offset.

    Raises:
        ValueError: neither form, or beyond the calendar.
    """
    found = _MILLISECONDS.fullmatch(text.strip())
    try:
        if found:
            return _EPOCH + timedelta(milliseconds=int(found.group(1)))
        parsed = datetime.fromisoformat(text.strip())
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("beyond the calendar") from error


def calendar_date(text: str) -> date:
    """The UTC date: Xero writes a calendar date as midnight UTC. Raises ValueError as :func:`moment` does."""
    return moment(text).date()


def modified_since(when: datetime) -> str:
    """The only form of ``If-Modified-Since`` that is read reliably: UTC, whole seconds, no zone."""
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def date_filter(day: date) -> str:
    """A calendar date in the language of ``where``."""
    return f"DateTime({day.year},{day.month},{day.day})"
