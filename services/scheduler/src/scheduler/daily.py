"""When a tenant's daily scan is due, and whether one that is late is still wanted."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import assert_never

from shared.contracts.tokens import Connection
from shared.policy import CatchUp, TenantPolicy
from shared.scan_times import daily_scan

LATE = timedelta(hours=1)
"""So late a scan is not missed yet: a restart, or a broker that is away for a while."""
UNKNOWN_ZONE = timezone(timedelta(hours=-12))
"""Where each hour comes last: there, no scan is before its hour wherever the organisation really is."""
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class DailyScans:
    """The scans of one tenant: one a local day, at its place in the minutes from ``scan_at`` on."""

    connection: Connection
    zone: tzinfo
    rules: TenantPolicy

    def due_at(self, day: date) -> datetime | None:
        """When (UTC) the scan of that local day is due; None when it is none's.

        The spread ends with the local day. A day that never shows ``scan_at`` has no scan, nor has one before the
        tenant was connected; on the day of the connection it is due at once when its time has passed.
        """
        due = daily_scan(self.connection.tenant_id, day, self.zone, self.rules)
        if due is None:
            return None
        connected_at = self.connection.connected_at
        if connected_at <= due:
            return due
        return connected_at.astimezone(UTC) if connected_at.astimezone(self.zone).date() == day else None

    def newest(self, now: datetime) -> tuple[date, datetime] | None:
        """The last scan that fell due, and when it did. Earlier ones are served by it."""
        today = now.astimezone(self.zone).date()
        # A zone that moves over the date line has a date less.
        for day in (today, today - _DAY, today - 2 * _DAY):
            due = self.due_at(day)
            if due is not None and due <= now:
                return day, due
        return None

    def wanted(self, now: datetime) -> tuple[date, datetime] | None:
        """The newest, unless it is so late that the catch-up rule gives it up."""
        newest = self.newest(now)
        if newest is None:
            return None
        day, due = newest
        if now - due <= LATE:
            return newest
        rule = self.rules.scan_catch_up
        match rule:
            case CatchUp.SAME_DAY:
                return newest if day == now.astimezone(self.zone).date() else None
            case CatchUp.AT_ONCE:
                return newest
            case CatchUp.NEVER:
                return None
        assert_never(rule)

    def following(self, now: datetime) -> datetime:
        """When the next one falls due, after ``now``."""
        day = now.astimezone(self.zone).date()
        while (due := self.due_at(day)) is None or due <= now:
            day += _DAY
        return due
