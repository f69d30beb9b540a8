"""Who yields when a day runs short, and what is printed of it."""

import json
from collections.abc import AsyncGenerator
from contextlib import nullcontext
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from fetcher import budget
from fetcher.adapters.spending import Spent
from fetcher.pacing import PacedScans
from fetcher.purposes import Purpose, kept_from, pause_between_sweeps, tier
from fetcher.scans import ScanTenant
from shared.contracts.invoices import InvoiceEnrichedV1
from shared.contracts.scans import ScanKind, ScanRequestedV1
from shared.errors import RetryableError
from unit.fetcher.samples import NOW, TENANT


@pytest.mark.parametrize(("per_day", "sweep", "event"), [(1000, 100, 40), (5000, 500, 200), (3, 0, 0)])
def test_a_tenth_is_kept_from_sweeps_and_something_from_events(per_day: int, sweep: int, event: int) -> None:
    assert [kept_from(purpose, per_day) for purpose in Purpose] == [sweep, event, 0]


@pytest.mark.parametrize(
    ("left", "hours"), [(1000, 0), (501, 0), (500, 1.5), (251, 1.5), (250, 3.5), (101, 3.5), (100, None), (0, None)]
)
def test_reconciles_stand_apart_as_the_day_allows(left: int, hours: float | None) -> None:
    assert pause_between_sweeps(left, 1000) == (None if hours is None else hours * 3600)


@pytest.mark.parametrize(
    ("left", "per_day", "expected"),
    [(None, 1000, "starter"), (998, 1000, "starter"), (None, 5000, "core"), (4998, 1000, "core"), (7, 5000, "core")],
)
def test_a_tier_is_known_by_its_day(left: int | None, per_day: int, expected: str) -> None:
    assert tier(left, per_day) == expected


class Scans(ScanTenant):
    """Remembers what was asked of it."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked: list[ScanKind | str] = []
        self._failure = failure

    async def __call__(
        self, request: ScanRequestedV1, *, catching_up: bool = False
    ) -> AsyncGenerator[InvoiceEnrichedV1]:
        self.asked.append(request.kind)
        if self._failure is not None:
            raise self._failure
        return
        yield

    async def catch_up(self, tenant_id: str) -> AsyncGenerator[InvoiceEnrichedV1]:
        self.asked.append("catch up")
        return
        yield


class FakePacing:
    def __init__(self, *, may: bool = True) -> None:
        self._may = may
        self.left_out: list[str] = []
        self.read_to_the_end: list[str] = []

    async def may_reconcile(self, tenant_id: str) -> bool:
        assert tenant_id == TENANT
        return self._may

    async def ended(self, tenant_id: str) -> None:
        self.read_to_the_end.append(tenant_id)

    async def put_off(self, tenant_id: str) -> None:
        self.left_out.append(tenant_id)


@pytest.mark.parametrize("may", [True, False])
async def test_only_reconciles_are_put_off(may: bool) -> None:
    scans = Scans()
    pacing = FakePacing(may=may)
    paced = PacedScans(scans, pacing)
    for kind in ScanKind:
        request = ScanRequestedV1(tenant_id=TENANT, kind=kind, local_date=NOW.date(), due_before=NOW.date())
        assert [event async for event in paced(request)] == []
    assert [event async for event in paced.catch_up(TENANT)] == []
    reconciles = [ScanKind.RECONCILE] if may else []
    assert [kind for kind in scans.asked if kind is ScanKind.RECONCILE] == reconciles
    assert {ScanKind.RECEIVABLES, "catch up"} <= set(scans.asked)
    assert pacing.read_to_the_end == ([TENANT] if may else [])


@pytest.mark.parametrize("reason", ["day_reserve", "day_limit", "tenant_parked", "minute_limit", "redis_unreachable"])
@pytest.mark.parametrize("kind", ScanKind)
async def test_a_reconcile_that_finds_the_day_spent_is_left_out_and_a_sweep_waits(kind: ScanKind, reason: str) -> None:
    pacing = FakePacing()
    paced = PacedScans(Scans(RetryableError(reason, counts=False)), pacing)
    request = ScanRequestedV1(tenant_id=TENANT, kind=kind, local_date=NOW.date(), due_before=NOW.date())
    left_out = kind is ScanKind.RECONCILE and reason in {"day_reserve", "day_limit", "tenant_parked"}
    with nullcontext() if left_out else pytest.raises(RetryableError, match=reason):
        assert [event async for event in paced(request)] == []
    assert pacing.left_out == ([TENANT] if left_out else [])
    assert pacing.read_to_the_end == []


BUSY = Spent(
    tenant_id="1f2e",
    name="Sharma \n Traders",
    calls={"sweep": 3, "event": 40},
    endpoints={"invoices": 43},
    bytes=5 * 10**8,
    week_bytes=10**9,
    day_left=0,
    held="day",
    until=datetime(2026, 6, 24, 3, 0, 5, tzinfo=UTC),
)
QUIET = Spent("aaaa", None, {}, {}, 0, 2100, 1000, None, None)


def test_the_table_has_a_line_for_each_organisation_and_their_sum() -> None:
    header, busy, quiet, everything = budget.table([BUSY, QUIET], None).splitlines()
    assert " ".join(header.split()) == "organisation calls sweep event look day left received AUD 7 days state"
    assert busy.startswith("Sharma Traders")
    assert " ".join(busy.split()[2:]) == "43 3 40 0 0 500.0 MB 2.4000 parked (day) until 2026-06-24 03:00:05 UTC"
    assert " ".join(quiet.split()) == "aaaa 0 0 0 0 1000 0.0 kB 0.0000 calling"
    assert everything.split()[:2] == ["all", "43"]


def test_it_says_when_nobody_may_call() -> None:
    said = budget.table([], datetime(2026, 6, 24, 3, tzinfo=UTC))
    assert said.splitlines()[-1] == "Nobody is called until 2026-06-24 03:00:00 UTC."


def test_the_document_has_stable_keys() -> None:
    document = json.loads(budget.document([BUSY, QUIET], None))
    assert set(document) == {"tenants", "everybody_held_until"}
    busy, quiet = document["tenants"]
    assert busy["until"] == "2026-06-24T03:00:05+00:00"
    assert (busy["overage_aud"], busy["week_overage_aud"]) == ("1.2000", "2.4000")
    assert (quiet["name"], quiet["held"], quiet["until"]) == (None, None, None)


def test_a_gigabyte_has_its_price() -> None:
    assert budget.price(10**9) == Decimal("2.4")
