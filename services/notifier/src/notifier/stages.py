"""Which reminder an invoice is due for."""

from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.policy import Stage


def zone_of(name: str) -> tzinfo:
    """The IANA zone; UTC when the name is none, so that a bad name shifts a day and loses nothing."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def local_date(moment: datetime, zone: str) -> date:
    return moment.astimezone(zone_of(zone)).date()


def latest_stage(stages: Sequence[Stage], days_past_due: int) -> Stage | None:
    """The stage reached last: none before it may be sent any more. Negative days are before the due date."""
    reached = [stage for stage in stages if stage.offset_days <= days_past_due]
    return max(reached, key=lambda stage: stage.offset_days, default=None)


def too_late(stage: Stage, days_past_due: int) -> bool:
    return days_past_due - stage.offset_days > stage.lateness_days
