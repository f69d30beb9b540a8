"""Which scans are due: decided from the clock, the policy and the organisations' zones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from shared.contracts.scans import ScanKind, ScanRequestedV1
from shared.contracts.tokens import Connection
from shared.policy import Policy

RECONCILE_EVERY = timedelta(hours=1)
"""24 calls a day and tenant: 2.4 % of the smallest day budget."""
RECONCILE_QUICKENED = timedelta(minutes=15)
"""While no webhooks come: 96 calls a day, 9.6 % of the smallest budget. Every fourth moment is an hourly one."""


@dataclass(frozen=True)
class Moment:
    """A point at which something is asked for once; ``lasts`` is how long it must be remembered as done."""

    tenant_id: str
    kind: ScanKind
    slot: str
    lasts: timedelta


def reconcile_interval(quickened_until: datetime | None, now: datetime) -> timedelta:
    """How often a tenant is reconciled now."""
    return RECONCILE_QUICKENED if quickened_until is not None and now < quickened_until else RECONCILE_EVERY


def moments_due(
    connections: Iterable[Connection],
    zones: Mapping[str, tzinfo],
    policy: Policy,
    now: datetime,
    every: timedelta = RECONCILE_EVERY,
) -> list[tuple[Moment, ScanRequestedV1]]:
    """Everything that should have been asked for by ``now``; asking twice is harmless, never asking is not.

    A tenant is reconciled ``every`` so often after its connection: what changed before is no news. One whose zone is
    not known yet is judged in UTC: its first scan also reads the organisation.
    """
    due: list[tuple[Moment, ScanRequestedV1]] = []
    for connection in connections:
        tenant = connection.tenant_id
        local = now.astimezone(zones.get(tenant, UTC))
        rounds = (now - connection.connected_at) // every
        if rounds >= 1:
            # The slot names its time, so that one done before a disconnection is not taken for one after it. It is
            # remembered for the longer interval, so that an hour's is not asked for again when the pace slackens.
            slot = (connection.connected_at + rounds * every).isoformat(timespec="seconds")
            moment = Moment(tenant, ScanKind.RECONCILE, slot, 2 * RECONCILE_EVERY)
            due.append((moment, request_of(tenant, ScanKind.RECONCILE, local.date(), policy)))
        if local.time() >= policy.for_tenant(tenant).scan_at:
            moment = Moment(tenant, ScanKind.RECEIVABLES, local.date().isoformat(), timedelta(hours=36))
            due.append((moment, request_of(tenant, ScanKind.RECEIVABLES, local.date(), policy)))
    return due


def request_of(tenant_id: str, kind: ScanKind, local_date: date, policy: Policy) -> ScanRequestedV1:
    """The request for one scan; receivables reach to the policy's farthest stage."""
    due_before = policy.for_tenant(tenant_id).due_before(local_date) if kind is ScanKind.RECEIVABLES else None
    return ScanRequestedV1(tenant_id=tenant_id, kind=kind, local_date=local_date, due_before=due_before)
