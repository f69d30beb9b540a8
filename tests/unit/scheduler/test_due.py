"""When a scan is due, and what it asks for."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduler.due import (
    RECONCILE_EVERY,
    RECONCILE_QUICKENED,
    RECONCILE_SPREAD,
    following_poll,
    moments_due,
    poll_due,
    reconcile_interval,
    request_of,
)
from shared.contracts.scans import ScanKind
from shared.contracts.tokens import Connection
from shared.policy import CatchUp, Policy, TenantPolicy
from shared.scan_times import share_of

SHARP = Policy(defaults=TenantPolicy(scan_spread_minutes=0))
ZONES = {
    "kolkata": ZoneInfo("Asia/Kolkata"),
    "sydney": ZoneInfo("Australia/Sydney"),
    "london": ZoneInfo("Europe/London"),
}
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def connection(tenant: str, connected_at: datetime = LONG_AGO) -> Connection:
    return Connection(tenant_id=tenant, tenant_name=tenant, connected_at=connected_at)


def scans(now: datetime, *tenants: str, policy: Policy = SHARP) -> list[tuple[str, str]]:
    due = moments_due([connection(tenant) for tenant in tenants], ZONES, policy, now)
    return [(moment.tenant_id, moment.slot) for moment, _ in due if moment.kind is ScanKind.RECEIVABLES]


def at(hour: int, minute: int = 0, day: int = 23, month: int = 6) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (at(3, 29), []),
        (at(3, 30), [("kolkata", "2026-06-23")]),
        (at(18, 29), [("kolkata", "2026-06-23")]),
        (at(18, 31), []),
    ],
)
def test_a_tenant_is_scanned_from_nine_in_its_own_zone_once_a_local_day(
    now: datetime, expected: list[tuple[str, str]]
) -> None:
    assert scans(now, "kolkata") == expected


def test_each_tenant_has_its_own_morning_and_date() -> None:
    assert scans(at(23), "sydney", "london", "kolkata") == [("sydney", "2026-06-24")]
    assert scans(at(8), "sydney", "london") == [("sydney", "2026-06-23"), ("london", "2026-06-23")]


def test_the_hour_is_the_local_one_across_a_clock_change() -> None:
    assert scans(at(8, 30, day=24, month=10), "london") == [("london", "2026-10-24")]
    assert scans(at(8, 30, day=25, month=10), "london") == []
    assert scans(at(9, 0, day=25, month=10), "london") == [("london", "2026-10-25")]


def test_where_a_zone_is_unknown_no_scan_is_early() -> None:
    # Nine o'clock comes last at UTC-12.
    assert scans(at(20, 59), "new") == []
    assert scans(at(21, 0), "new") == [("new", "2026-06-23")]


@pytest.mark.parametrize(
    ("rule", "hours_late", "expected"),
    [
        *((rule, 1, True) for rule in CatchUp),
        (CatchUp.SAME_DAY, 14, True),
        (CatchUp.SAME_DAY, 16, False),
        (CatchUp.AT_ONCE, 16, True),
        (CatchUp.NEVER, 2, False),
    ],
)
def test_a_late_scan_is_made_up_for_by_the_rule(rule: CatchUp, hours_late: int, expected: bool) -> None:
    policy = Policy(defaults=TenantPolicy(scan_spread_minutes=0, scan_catch_up=rule))
    found = scans(at(3, 30) + timedelta(hours=hours_late), "kolkata", policy=policy)
    assert found == ([("kolkata", "2026-06-23")] if expected else [])


def test_a_scan_just_before_midnight_is_not_missed_for_being_a_little_late() -> None:
    policy = Policy(defaults=TenantPolicy(scan_at=time(23, 59)))
    assert scans(at(19), "kolkata", policy=policy) == [("kolkata", "2026-06-23")]


@pytest.mark.parametrize("rule", CatchUp)
def test_who_joins_after_the_hour_is_scanned_at_once_and_not_for_days_before(rule: CatchUp) -> None:
    policy = Policy(defaults=TenantPolicy(scan_catch_up=rule))
    for joined, expected in ((at(8), ["2026-06-23"]), (at(0), [])):
        due = moments_due([connection("kolkata", joined)], ZONES, policy, joined)
        assert [moment.slot for moment, _ in due] == expected


def test_a_late_request_reaches_the_stages_of_the_day_on_which_it_is_made() -> None:
    policy = Policy(defaults=TenantPolicy(scan_catch_up=CatchUp.AT_ONCE))
    [(moment, local_date)] = [
        due
        for due in moments_due([connection("kolkata")], ZONES, policy, at(20))
        if due[0].kind is ScanKind.RECEIVABLES
    ]
    assert (moment.id, local_date) == ("kolkata:receivables:2026-06-23", date(2026, 6, 24))
    request = request_of("kolkata", moment.kind, local_date, policy, moment.id)
    assert (request.moment, request.due_before) == (moment.id, date(2026, 6, 28))


def test_receivables_reach_to_the_farthest_stage_before_the_due_date() -> None:
    request = request_of("kolkata", ScanKind.RECEIVABLES, date(2026, 6, 23), SHARP)
    assert request.due_before == date(2026, 6, 27)


@pytest.mark.parametrize(("minutes", "rounds"), [(0, 0), (59, 0), (60, 1), (119, 1), (120, 2)])
def test_a_tenant_is_reconciled_every_hour_after_its_connection(minutes: int, rounds: int) -> None:
    place = share_of("reconcile:new", RECONCILE_SPREAD)
    now = at(1) + place + timedelta(minutes=minutes)
    due = poll_due(connection("new", at(1)), now, RECONCILE_EVERY)
    assert (due.due_at if due else None) == (at(1) + place + timedelta(hours=rounds) if rounds else None)
    assert following_poll(connection("new", at(1)), now, RECONCILE_EVERY) == at(1) + place + timedelta(hours=rounds + 1)


def test_what_one_consent_connects_is_polled_over_five_minutes() -> None:
    times = {following_poll(connection(f"t{number}", at(1)), at(1), RECONCILE_EVERY) for number in range(200)}
    assert at(2) <= min(times) < at(2, 1) < at(2, 4) < max(times) < at(2, 5)
    assert len(times) > 100


def test_an_hour_before_a_disconnection_is_not_taken_for_one_after_it() -> None:
    before = poll_due(connection("new", at(1)), at(2, 8), RECONCILE_EVERY)
    after = poll_due(connection("new", at(2, 10)), at(3, 18), RECONCILE_EVERY)
    assert before is not None
    assert after is not None
    assert before != after


@pytest.mark.parametrize(
    ("until", "interval"),
    [(None, RECONCILE_EVERY), (at(12), RECONCILE_EVERY), (at(12, 1), RECONCILE_QUICKENED)],
)
def test_reconciling_is_quickened_until_the_time_that_was_told(until: datetime | None, interval: timedelta) -> None:
    assert reconcile_interval(until, at(12)) == interval


def test_quickened_polls_are_ninety_six_a_day_and_every_fourth_is_an_hourly_one() -> None:
    joined = connection("t", at(1))

    def slots(every: timedelta) -> set[str]:
        due = [poll_due(joined, at(3) + timedelta(minutes=minute), every) for minute in range(24 * 60)]
        return {moment.slot for moment in due if moment is not None}

    quick = slots(RECONCILE_QUICKENED)
    assert len(quick) in {96, 97}  # a day that does not begin with a moment cuts two of them
    assert len(slots(RECONCILE_EVERY) - quick) <= 1
