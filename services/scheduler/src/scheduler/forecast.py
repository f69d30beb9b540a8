"""What is next for each tenant, and when, as text and as JSON; decided as the ticks decide it."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from scheduler.daily import UNKNOWN_ZONE
from scheduler.due import Moment, daily_scans, following_poll, poll_due, reconcile_interval, scan_due
from shared.contracts.scans import ScanKind
from shared.contracts.tokens import Connection
from shared.policy import Policy

_COLUMNS = ("organisation", "zone", "next", "local time", "UTC", "state")
_LOCAL = "%a %Y-%m-%d %H:%M:%S"
_UTC = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Next:
    """``missed``: it fell due before now and was not asked for yet, so that the next tick does."""

    kind: ScanKind
    due_at: datetime
    missed: bool


@dataclass(frozen=True)
class TenantSchedule:
    """The next moment of each kind, the soonest first; ``zone`` is where its day is judged."""

    tenant_id: str
    tenant_name: str
    zone: tzinfo
    zone_known: bool
    coming: tuple[Next, ...]


def due_now(
    connections: Iterable[Connection],
    zones: Mapping[str, tzinfo],
    policy: Policy,
    now: datetime,
    until: datetime | None,
) -> list[Moment]:
    """The moments that have been reached; the claims know which were asked for."""
    every = reconcile_interval(until, now)
    found = [
        moment
        for connection in connections
        for moment in (scan_due(daily_scans(connection, zones, policy), now), poll_due(connection, now, every))
    ]
    return [moment for moment in found if moment is not None]


def schedule(
    connections: Iterable[Connection],
    zones: Mapping[str, tzinfo],
    policy: Policy,
    now: datetime,
    until: datetime | None,
    done: Collection[Moment],
) -> list[TenantSchedule]:
    """One entry a tenant, the one with the soonest moment first. ``until``: how long polls are quickened."""
    rows = []
    for connection in connections:
        scans = daily_scans(connection, zones, policy)
        following = {
            ScanKind.RECEIVABLES: scans.following(now),
            ScanKind.RECONCILE: following_poll(connection, now, reconcile_interval(until, now)),
        }
        coming = {kind: Next(kind, due_at, missed=False) for kind, due_at in following.items()}
        for moment in due_now([connection], zones, policy, now, until):
            if moment not in done:
                coming[moment.kind] = Next(moment.kind, moment.due_at, missed=True)
        rows.append(
            TenantSchedule(
                connection.tenant_id,
                connection.tenant_name,
                scans.zone,
                connection.tenant_id in zones,
                tuple(sorted(coming.values(), key=lambda each: each.due_at)),
            )
        )
    return sorted(rows, key=lambda row: (row.coming[0].due_at, row.tenant_id))


def document(rows: Sequence[TenantSchedule], now: datetime, until: datetime | None) -> str:
    """JSON with stable keys; times are ISO 8601, ``local`` with the organisation's offset."""
    tenants = [
        {
            "tenant_id": row.tenant_id,
            "tenant_name": row.tenant_name,
            "time_zone": str(row.zone) if row.zone_known else None,
            "next": [
                {
                    "kind": str(each.kind),
                    "local": each.due_at.astimezone(row.zone).isoformat() if row.zone_known else None,
                    "utc": each.due_at.astimezone(UTC).isoformat(),
                    "state": _state(each),
                }
                for each in row.coming
            ],
        }
        for row in rows
    ]
    quickened = until.isoformat() if until is not None and until > now else None
    return json.dumps({"now": now.isoformat(), "reconcile_quickened_until": quickened, "tenants": tenants}, indent=2)


def table(rows: Sequence[TenantSchedule], now: datetime, until: datetime | None) -> str:
    """Aligned columns for a terminal: a line for each kind of each tenant."""
    notes = [f"It is {now.strftime(_UTC)} UTC, by Redis's clock."]
    if until is not None and until > now:
        notes.append(f"No webhooks come: reconciled every 15 minutes until {until.astimezone(UTC).strftime(_UTC)} UTC.")
    if not rows:
        return "\n".join(["No organisation is connected.", *notes])
    cells = [_COLUMNS, *(_cells(row, each) for row in rows for each in row.coming)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    if any(row.zone == UNKNOWN_ZONE for row in rows):
        notes.append("Where a zone is not known yet, the day is judged where it is latest, at UTC-12.")
    return "\n".join([*lines, *notes])


def _cells(row: TenantSchedule, each: Next) -> tuple[str, ...]:
    return (
        " ".join((row.tenant_name or row.tenant_id).split()),
        str(row.zone) if row.zone_known else "not known yet",
        str(each.kind),
        each.due_at.astimezone(row.zone).strftime(_LOCAL) if row.zone_known else "-",
        each.due_at.astimezone(UTC).strftime(_UTC),
        _state(each),
    )


def _state(each: Next) -> str:
    return "due now" if each.missed else "waits"
