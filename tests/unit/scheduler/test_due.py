"""When a scan is due."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduler.due import RECONCILE_EVERY, RECONCILE_QUICKENED, moments_due, reconcile_interval, request_of
from shared.contracts.scans import ScanKind
from shared.contracts.tokens import Connection
from shared.policy import Policy

POLICY = Policy()
ZONES = {
    "kolkata": ZoneInfo("Asia/Kolkata"),
    "sydney": ZoneInfo("Australia/Sydney"),
    "london": ZoneInfo("Europe/London"),
}


def scans(now: datetime, *tenants: str) -> list[tuple[str, str]]:
    connections = [Connection(tenant_id=tenant, tenant_name=tenant, connected_at=now) for tenant in tenants]
    due = moments_due(connections, ZONES, POLICY, now)
    return [(moment.tenant_id, moment.slot) for moment, request in due if request.kind is ScanKind.RECEIVABLES]


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


def test_an_unknown_zone_is_judged_in_utc() -> None:
    assert scans(at(8, 59), "new") == []
    assert scans(at(9, 0), "new") == [("new", "2026-06-23")]


def test_receivables_reach_to_the_farthest_stage_before_the_due_date() -> None:
    request = request_of("kolkata", ScanKind.RECEIVABLES, date(2026, 6, 23), POLICY)
    assert request.due_before == date(2026, 6, 27)


def reconciled(connected_at: datetime, now: datetime) -> list[str]:
    connection = Connection(tenant_id="new", tenant_name="new", connected_at=connected_at)
    due = moments_due([connection], ZONES, POLICY, now)
    return [moment.slot for moment, request in due if request.kind is ScanKind.RECONCILE]


@pytest.mark.parametrize(("minutes", "hour"), [(0, None), (59, None), (60, 2), (119, 2), (120, 3)])
def test_a_tenant_is_reconciled_every_hour_after_its_connection(minutes: int, hour: int | None) -> None:
    expected = [] if hour is None else [at(hour).isoformat(timespec="seconds")]
    assert reconciled(at(1), at(1) + timedelta(minutes=minutes)) == expected


def test_an_hour_before_a_disconnection_is_not_taken_for_one_after_it() -> None:
    assert reconciled(at(1), at(2, 5)) != reconciled(at(2, 10), at(3, 10))


@pytest.mark.parametrize(
    ("until", "interval"),
    [(None, RECONCILE_EVERY), (at(12), RECONCILE_EVERY), (at(12, 1), RECONCILE_QUICKENED)],
)
def test_reconciling_is_quickened_until_the_time_that_was_told(until: datetime | None, interval: timedelta) -> None:
    assert reconcile_interval(until, at(12)) == interval


def test_quickened_polls_are_ninety_six_a_day() -> None:
    connection = Connection(tenant_id="t", tenant_name="t", connected_at=at(1))
    slots = {
        moment.slot
        for minute in range(24 * 60)
        for moment, _ in moments_due(
            [connection], ZONES, POLICY, at(2, minute % 60) + timedelta(hours=minute // 60), RECONCILE_QUICKENED
        )
        if moment.kind is ScanKind.RECONCILE
    }
    assert len(slots) == 96
