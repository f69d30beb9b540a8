"""When an organisation's daily scan is due: one definition for who asks for it and for who foretells it."""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from hashlib import sha256

from shared.policy import TenantPolicy

_DAY = timedelta(days=1)
_KIND = "receivables"


def daily_scan(tenant_id: str, day: date, zone: tzinfo, rules: TenantPolicy) -> datetime | None:
    """When (UTC) the scan of that local day is due: at the organisation's place in the minutes from ``scan_at`` on.

    The spread ends with the local day. None for a day that never shows ``scan_at``.
    """
    begin = first_instant(day, rules.scan_at, zone)
    room = first_instant(day + _DAY, time(0), zone) - begin
    if room <= timedelta(0):
        return None
    width = min(timedelta(minutes=rules.scan_spread_minutes), room)
    return begin + share_of(f"{_KIND}:{tenant_id}", width)


def share_of(name: str, whole: timedelta) -> timedelta:
    """The place of ``name`` within ``whole``: whole seconds, at least 0 and less than ``whole``.

    The same on every replica and every day, so that what many have at the same time is spread.
    """
    place = int.from_bytes(sha256(name.encode()).digest()[:8], "big")
    return timedelta(seconds=int(whole.total_seconds()) * place >> 64)


def first_instant(day: date, wall: time, zone: tzinfo) -> datetime:
    """The first instant, in UTC, at which clocks in ``zone`` show ``wall`` on ``day``.

    Of a time that is shown twice it is the first one; for one that is skipped, the instant of the skip.
    """
    target = datetime.combine(day, wall)
    early, late = sorted(target.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early == late or _shown(early, zone) == target:
        return early
    seconds = range(int((late - early).total_seconds()) + 1)
    return early + timedelta(seconds=bisect_left(seconds, target, key=lambda n: _shown(early + timedelta(0, n), zone)))


def _shown(at: datetime, zone: tzinfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)
