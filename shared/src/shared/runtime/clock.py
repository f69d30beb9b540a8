"""The only place where the time of day is read; everything else receives a clock."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present as an aware UTC time."""


def utc_now() -> datetime:
    return datetime.now(UTC)
