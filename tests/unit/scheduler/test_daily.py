"""The daily scan in every zone of the world: once a local day, never before its hour, within its minutes."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scheduler.daily import DailyScans
from shared.contracts.tokens import Connection
from shared.policy import TenantPolicy
from shared.scan_times import first_instant, share_of
from support.sizes import rounds

DAY = timedelta(days=1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
zones = st.sampled_from(sorted(available_timezones()))
days = st.dates(date(2005, 1, 1), date(2036, 12, 30))
minutes = st.integers(0, 24 * 60 - 1).map(lambda minute: time(*divmod(minute, 60)))
widths = st.integers(0, 240)


def scans(zone: str, scan_at: time, spread: int, tenant: str = "t") -> DailyScans:
    joined = Connection(tenant_id=tenant, tenant_name=tenant, connected_at=LONG_AGO)
    return DailyScans(joined, ZoneInfo(zone), TenantPolicy(scan_at=scan_at, scan_spread_minutes=spread))


def shown(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@settings(max_examples=rounds(5_000, 60), deadline=None)
@given(zones, days, minutes)
@example("Pacific/Apia", date(2011, 12, 30), time(9))
@example("America/Nuuk", date(2026, 3, 28), time(23, 30))
@example("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15))
@example("Europe/London", date(2026, 10, 25), time(1, 30))
def test_the_first_instant_shows_the_time_and_the_second_before_it_did_not(zone: str, day: date, wall: time) -> None:
    target = datetime.combine(day, wall)
    at = first_instant(day, wall, ZoneInfo(zone))
    assert shown(at, zone) >= target
    assert shown(at - timedelta(seconds=1), zone) < target
    assert shown(at, zone) == target or shown(at, zone) - shown(at - timedelta(seconds=1), zone) > timedelta(seconds=1)


@settings(max_examples=rounds(5_000, 60), deadline=None)
@given(zones, days, minutes, widths, st.text(max_size=8))
@example("America/Nuuk", date(2026, 3, 28), time(23, 30), 30, "t")
@example("Europe/London", date(2026, 3, 29), time(1, 30), 30, "t")
@example("Europe/London", date(2026, 10, 25), time(1, 50), 240, "t")
@example("Africa/Cairo", date(2026, 10, 29), time(23, 30), 60, "t")
def test_a_local_day_has_one_scan_at_its_hour_and_within_its_minutes(
    zone: str, day: date, scan_at: time, spread: int, tenant: str
) -> None:
    of_day = {each: scans(zone, scan_at, spread, tenant or "t").due_at(each) for each in (day, day + DAY)}
    due = of_day[day]
    begin = first_instant(day, scan_at, ZoneInfo(zone))
    if due is None:
        assert shown(begin, zone).date() > day, "only a day that never shows the hour has no scan"
        return
    assert begin <= due < begin + timedelta(minutes=max(spread, 1))
    assert due.astimezone(ZoneInfo(zone)).date() == day
    after = of_day[day + DAY]
    assert after is None or after > due


@pytest.mark.parametrize(
    ("zone", "day", "scan_at", "expected"),
    [
        ("Europe/London", date(2026, 3, 28), time(1, 30), datetime(2026, 3, 28, 1, 30, tzinfo=UTC)),
        ("Europe/London", date(2026, 3, 29), time(1, 30), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        ("Europe/London", date(2026, 3, 30), time(1, 30), datetime(2026, 3, 30, 0, 30, tzinfo=UTC)),
        ("Europe/London", date(2026, 10, 25), time(1, 30), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("America/New_York", date(2026, 3, 8), time(2, 30), datetime(2026, 3, 8, 7, 0, tzinfo=UTC)),
        ("America/New_York", date(2026, 11, 1), time(1, 0), datetime(2026, 11, 1, 5, 0, tzinfo=UTC)),
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
        ("America/Nuuk", date(2026, 3, 28), time(23, 30), None),
        ("Pacific/Apia", date(2011, 12, 30), time(9), None),
    ],
)
def test_a_skipped_hour_is_due_at_the_skip_and_a_repeated_one_at_its_first_time(
    zone: str, day: date, scan_at: time, expected: datetime | None
) -> None:
    assert scans(zone, scan_at, 0).due_at(day) == expected


def test_a_thousand_tenants_of_one_zone_come_evenly_over_their_half_hour_and_at_the_same_place_each_day() -> None:
    def places(day: date) -> list[int]:
        due = [scans("Asia/Kolkata", time(9), 30, f"tenant {number}").due_at(day) for number in range(1000)]
        begin = datetime.combine(day, time(3, 30), UTC)
        return [int((at - begin).total_seconds()) for at in due if at is not None]

    today = places(date(2026, 6, 23))
    assert places(date(2026, 6, 24)) == today
    each_minute = [sum(place // 60 == minute for place in today) for minute in range(30)]
    assert sum(each_minute) == 1000
    # A thousand at random over thirty minutes: 33 a minute, give or take six.
    assert max(each_minute) <= 60
    assert min(each_minute) >= 12


@given(st.text(), st.integers(0, 10_000))
@settings(max_examples=100)
def test_a_place_lies_within_the_whole(name: str, seconds: int) -> None:
    place = share_of(name, timedelta(seconds=seconds))
    assert timedelta(0) <= place
    assert place < timedelta(seconds=seconds) or seconds == 0


@settings(max_examples=rounds(1_000, 30), deadline=None)
@given(zones, days, minutes, widths, st.integers(0, 24 * 60 - 1))
def test_what_follows_is_what_falls_due_next(zone: str, day: date, scan_at: time, spread: int, minute: int) -> None:
    of = scans(zone, scan_at, spread)
    now = datetime.combine(day, time(0), UTC) + timedelta(minutes=minute)
    following = of.following(now)
    assert following > now
    found, before = of.newest(following), of.newest(following - timedelta(seconds=1))
    assert found is not None
    assert found[1] == following
    assert before is None or before[1] <= now
