"""What is due: decided from the shared time, the policy, the connections and the organisations' zones."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo

from scheduler.daily import UNKNOWN_ZONE, DailyScans
from shared.contracts.scans import ScanKind, ScanRequestedV1
from shared.contracts.tokens import Connection
from shared.policy import Policy
from shared.scan_times import share_of

RECONCILE_EVERY = timedelta(hours=1)
"""24 calls a day and tenant: 2.4 % of the smallest day budget."""
RECONCILE_QUICKENED = timedelta(minutes=15)
"""While no webhooks come: 96 calls a day, 9.6 % of the smallest budget. Every fourth moment is an hourly one."""
RECONCILE_SPREAD = timedelta(minutes=5)
"""Organisations that one consent connects are polled within so many minutes, not at one instant."""
_SCANS_LAST = timedelta(days=8)
_POLLS_LAST = timedelta(hours=26)
"""Longer than any clock is likely to be set back, or than the hours that a set-forward one takes off them."""


@dataclass(frozen=True)
class Moment:
    """A point at which something is asked for once. ``slot`` names it: the local date, or the instant of a poll.

    ``lasts`` is how long it must be remembered as done.
    """

    tenant_id: str
    kind: ScanKind
    slot: str
    due_at: datetime = field(compare=False)
    lasts: timedelta = field(compare=False)

    @property
    def id(self) -> str:
        return f"{self.tenant_id}:{self.kind}:{self.slot}"


def reconcile_interval(quickened_until: datetime | None, now: datetime) -> timedelta:
    """How often a tenant is reconciled now."""
    return RECONCILE_QUICKENED if quickened_until is not None and now < quickened_until else RECONCILE_EVERY


def moments_due(
    connections: Iterable[Connection],
    zones: Mapping[str, tzinfo],
    policy: Policy,
    now: datetime,
    every: timedelta = RECONCILE_EVERY,
) -> Iterator[tuple[Moment, date]]:
    """Everything that should have been asked for by ``now``, at most one moment of each kind for a tenant.

    Each with the local date that its request is for: a late one must reach the stages of the day on which it is made.
    """
    for connection in connections:
        zone = zones.get(connection.tenant_id, UNKNOWN_ZONE)
        today = now.astimezone(zone).date()
        for moment in (poll_due(connection, now, every), scan_due(daily_scans(connection, zones, policy), now)):
            if moment is not None:
                yield moment, today


def daily_scans(connection: Connection, zones: Mapping[str, tzinfo], policy: Policy) -> DailyScans:
    """The tenant's scans by its own rules, in its own zone."""
    tenant = connection.tenant_id
    return DailyScans(connection, zones.get(tenant, UNKNOWN_ZONE), policy.for_tenant(tenant))


def scan_due(scans: DailyScans, now: datetime) -> Moment | None:
    """The daily scan to ask for at ``now``."""
    wanted = scans.wanted(now)
    if wanted is None:
        return None
    day, due_at = wanted
    return Moment(scans.connection.tenant_id, ScanKind.RECEIVABLES, day.isoformat(), due_at, _SCANS_LAST)


def poll_due(connection: Connection, now: datetime, every: timedelta) -> Moment | None:
    """The newest poll; it reads all that changed since the last one, so that those missed before need none.

    A tenant is reconciled ``every`` so often after its connection: what changed before is no news.
    """
    rounds = (now - _first_round(connection)) // every
    return _poll(connection, rounds, every) if rounds >= 1 else None


def following_poll(connection: Connection, now: datetime, every: timedelta) -> datetime:
    """When the next poll falls due, after ``now``."""
    rounds = (now - _first_round(connection)) // every + 1
    return _poll(connection, max(rounds, 1), every).due_at


def _first_round(connection: Connection) -> datetime:
    share = share_of(f"{ScanKind.RECONCILE}:{connection.tenant_id}", RECONCILE_SPREAD)
    return connection.connected_at.astimezone(UTC) + share


def _poll(connection: Connection, rounds: int, every: timedelta) -> Moment:
    # The slot names its time, so that one done before a disconnection is not taken for one after it, and an hour's is
    # not asked for again when the pace slackens.
    due_at = _first_round(connection) + rounds * every
    slot = due_at.isoformat(timespec="seconds")
    return Moment(connection.tenant_id, ScanKind.RECONCILE, slot, due_at, _POLLS_LAST)


def request_of(
    tenant_id: str, kind: ScanKind, local_date: date, policy: Policy, moment: str | None = None
) -> ScanRequestedV1:
    """The request for one scan; receivables reach to the policy's farthest stage."""
    due_before = policy.for_tenant(tenant_id).due_before(local_date) if kind is ScanKind.RECEIVABLES else None
    return ScanRequestedV1(tenant_id=tenant_id, kind=kind, local_date=local_date, due_before=due_before, moment=moment)
