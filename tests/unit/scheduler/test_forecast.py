"""What is said to be next."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from scheduler.due import Moment
from scheduler.forecast import TenantSchedule, document, due_now, schedule, table
from shared.contracts.scans import ScanKind
from shared.contracts.tokens import Connection
from shared.policy import Policy, TenantPolicy

NOW = datetime(2026, 6, 23, 12, 0, tzinfo=UTC)
ZONES = {"india": ZoneInfo("Asia/Kolkata"), "london": ZoneInfo("Europe/London")}
SHARP = Policy(defaults=TenantPolicy(scan_spread_minutes=0))
TENANTS = [
    Connection(tenant_id=tenant, tenant_name=f"{tenant} & Sons", connected_at=NOW - timedelta(days=9, minutes=30))
    for tenant in ("india", "london", "new")
]


def rows(done: set[Moment] | None = None, until: datetime | None = None) -> list[TenantSchedule]:
    reached = set(due_now(TENANTS, ZONES, SHARP, NOW, until))
    return schedule(TENANTS, ZONES, SHARP, NOW, until, reached if done is None else done)


def of(tenant: str, rows: list[TenantSchedule]) -> TenantSchedule:
    [found] = [row for row in rows if row.tenant_id == tenant]
    return found


def test_each_kind_is_shown_with_its_next_time_in_both_times() -> None:
    told = json.loads(document(rows(), NOW, None))
    assert told["now"] == "2026-06-23T12:00:00+00:00"
    india = next(tenant for tenant in told["tenants"] if tenant["tenant_id"] == "india")
    assert india["time_zone"] == "Asia/Kolkata"
    assert [each["kind"] for each in india["next"]] == ["reconcile", "receivables"]
    assert india["next"][1] == {
        "kind": "receivables",
        "local": "2026-06-24T09:00:00+05:30",
        "utc": "2026-06-24T03:30:00+00:00",
        "state": "waits",
    }


def test_what_fell_due_and_was_not_asked_for_is_due_now() -> None:
    scan = of("london", rows(done=set())).coming[0]
    assert (scan.kind, scan.due_at, scan.missed) == (ScanKind.RECEIVABLES, NOW.replace(hour=8), True)
    polls = [each for each in of("london", rows()).coming if each.kind is ScanKind.RECONCILE]
    assert all(NOW < each.due_at <= NOW + timedelta(hours=1) and not each.missed for each in polls)


def test_silent_webhooks_bring_the_next_poll_near() -> None:
    until = NOW + timedelta(hours=5)
    quick = rows(until=until)
    assert all(row.coming[0].due_at - NOW <= timedelta(minutes=15) for row in quick)
    assert "every 15 minutes until 2026-06-23 17:00:00 UTC" in table(quick, NOW, until)
    assert json.loads(document(quick, NOW, until))["reconcile_quickened_until"] == until.isoformat()
    assert json.loads(document(quick, NOW, NOW))["reconcile_quickened_until"] is None


def test_the_table_has_a_line_for_each_kind_the_soonest_first() -> None:
    lines = table(rows(), NOW, None).splitlines()
    assert lines[0].split() == ["organisation", "zone", "next", "local", "time", "UTC", "state"]
    assert len(lines) == 1 + 2 * len(TENANTS) + 2
    [india] = [line for line in lines if "india" in line and "receivables" in line]
    assert "Wed 2026-06-24 09:00:00  2026-06-24 03:30:00  waits" in india
    assert "not known yet" in table(rows(), NOW, None)
    assert table([], NOW, None).startswith("No organisation is connected.")
