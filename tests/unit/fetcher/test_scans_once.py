"""A moment's second request costs no call."""

from collections.abc import AsyncGenerator
from datetime import date

import pytest

from fetcher.scans_once import ScansOnce
from shared.contracts.invoices import InvoiceEnrichedV1
from shared.contracts.scans import ScanKind, ScanRequestedV1
from shared.errors import RetryableError


class Scans:
    def __init__(self) -> None:
        self.runs = 0
        self.failing = False

    async def __call__(self, request: ScanRequestedV1) -> AsyncGenerator[InvoiceEnrichedV1]:
        self.runs += 1
        if self.failing:
            raise RetryableError("scan_unfinished")
        events: tuple[InvoiceEnrichedV1, ...] = ()
        for event in events:
            yield event

    def catch_up(self, tenant_id: str) -> AsyncGenerator[InvoiceEnrichedV1]:
        raise AssertionError("not asked for")


class Served:
    def __init__(self) -> None:
        self.moments: set[str] = set()

    async def knows(self, moment: str) -> bool:
        return moment in self.moments

    async def keep(self, moment: str) -> None:
        self.moments.add(moment)


def request(moment: str | None) -> ScanRequestedV1:
    return ScanRequestedV1(tenant_id="t", kind=ScanKind.RECONCILE, local_date=date(2026, 6, 23), moment=moment)


async def serve(scans: ScansOnce, moment: str | None) -> None:
    assert [event async for event in scans(request(moment))] == []


async def test_a_moment_is_served_once_and_a_request_by_hand_always() -> None:
    scans = Scans()
    once = ScansOnce(scans, Served())  # type: ignore[arg-type]  # what it needs of the scans
    for moment in ("a", "a", "b", None, None, "a"):
        await serve(once, moment)
    assert scans.runs == 4


async def test_a_scan_that_failed_is_run_again() -> None:
    scans = Scans()
    once = ScansOnce(scans, Served())  # type: ignore[arg-type]  # what it needs of the scans
    scans.failing = True
    with pytest.raises(RetryableError):
        await serve(once, "a")
    scans.failing = False
    await serve(once, "a")
    await serve(once, "a")
    assert scans.runs == 2
