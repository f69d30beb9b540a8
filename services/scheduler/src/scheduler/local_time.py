"""When a wall clock first shows a time of a day, also where it is put forward or back."""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta, tzinfo


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
