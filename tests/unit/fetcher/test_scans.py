"""A scan reads every page, publishes as it goes, and ends; a reconcile leaves no gap behind its cursor."""

from datetime import date, timedelta

import pytest

from fetcher.poll_account import PollAccount
from fetcher.scans import ScanBounds, ScanTenant
from shared.contracts import InvoiceEnrichedV1, ScanRequestedV1
from shared.contracts.invoices import CauseKind
from shared.contracts.scans import ScanKind
from shared.errors import PermanentError, RetryableError
from unit.fetcher.samples import (
    NOW,
    TENANT,
    FakeCursors,
    FakeXero,
    Rig,
    contact_json,
    gather_into,
    guid,
    invoice_json,
    page_of,
)

TODAY = date(2026, 6, 23)


class Scanning(Rig):
    def __init__(self, cursors: FakeCursors | None = None, *, contacts: int = 1, at_once: int = 10) -> None:
        super().__init__(FakeXero(contacts=[contact_json(contact) for contact in range(1, contacts + 1)]))
        self.cursors = cursors or FakeCursors()
        self.lost: list[int] = []
        self.account = PollAccount(self.records, self.clock, self.lost.append)
        self.scan = ScanTenant(
            self.xero,
            self.reader,
            self.organisations,
            self.cursors,
            self.clock,
            self.account,
            ScanBounds(at_once=at_once, queueing_seconds=0.01),
        )

    async def run(self, kind: ScanKind, due_before: date | None = None) -> list[InvoiceEnrichedV1]:
        return [event async for event in self.scan(scan(kind, due_before))]


def scan(kind: ScanKind, due_before: date | None = None) -> ScanRequestedV1:
    return ScanRequestedV1(tenant_id=TENANT, kind=kind, local_date=TODAY, due_before=due_before)


def numbers(events: list[InvoiceEnrichedV1]) -> list[str]:
    return [event.invoice.number for event in events]


async def test_all_pages_of_receivables_are_read() -> None:
    rig = Scanning()
    rig.xero.lists = [page_of([invoice_json(1)], pages=3, items=3), page_of([invoice_json(2)], pages=3, items=3)]
    rig.xero.lists += [page_of([invoice_json(3)], pages=3, items=3)]
    events = await rig.run(ScanKind.RECEIVABLES, TODAY)
    assert numbers(events) == ["INV-1", "INV-2", "INV-3"]
    assert {event.cause.kind for event in events} == {CauseKind.SCAN}
    assert rig.xero.list_calls == [(TODAY, 1), (TODAY, 2), (TODAY, 3)]
    # Once a page, never from the cache: reminders may leave at once.
    assert len(rig.xero.contact_calls) == 3


async def test_contacts_are_read_fifty_at_a_time_and_once() -> None:
    rig = Scanning(contacts=120)
    invoices = [invoice_json(number, contact=1 + number % 120) for number in range(240)]
    rig.xero.lists = [page_of(invoices)]
    assert len(await rig.run(ScanKind.RECEIVABLES, TODAY)) == 240
    assert [len(call) for call in rig.xero.contact_calls] == [50, 50, 20]


async def test_a_list_that_shrinks_under_the_scan_is_gone_through_again() -> None:
    rig = Scanning()
    rig.xero.lists = [
        page_of([invoice_json(1), invoice_json(2)], pages=2, items=4),
        # INV-1 was paid: INV-3 has moved to the first page, which was read already.
        page_of([invoice_json(4)], pages=2, items=3),
        page_of([invoice_json(2), invoice_json(3)], pages=2, items=3),
        page_of([invoice_json(4)], pages=2, items=3),
    ]
    assert numbers(await rig.run(ScanKind.RECEIVABLES, TODAY)) == ["INV-1", "INV-2", "INV-4", "INV-3"]


async def test_without_page_counts_a_short_page_is_the_last() -> None:
    rig = Scanning()
    rig.xero.lists = [
        page_of([invoice_json(number) for number in range(100)], pages=None),
        page_of([invoice_json(200)], pages=None),
    ]
    assert len(await rig.run(ScanKind.RECEIVABLES, TODAY)) == 101


async def test_receivables_need_a_day() -> None:
    with pytest.raises(PermanentError, match="due_before_missing"):
        await Scanning().run(ScanKind.RECEIVABLES)


async def test_an_unreadable_invoice_is_reported_after_the_others() -> None:
    rig = Scanning()
    rig.xero.lists = [page_of([invoice_json(1, Total=None), invoice_json(2)])]
    seen: list[InvoiceEnrichedV1] = []
    with pytest.raises(PermanentError, match="unreadable_invoice: Total"):
        await gather_into(seen, rig.scan(scan(ScanKind.RECEIVABLES, TODAY)))
    assert numbers(seen) == ["INV-2"]


async def test_each_unreadable_invoice_is_named_for_its_scan_is_all_that_is_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rig = Scanning()
    rig.xero.lists = [page_of([invoice_json(1, Total=None), invoice_json(2), invoice_json(3, AmountDue="x")])]
    with pytest.raises(PermanentError, match="unreadable_invoice"):
        await rig.run(ScanKind.RECEIVABLES, TODAY)
    said = capsys.readouterr().out
    assert said.count("invoice.unreadable") == 2
    assert all(word in said for word in (guid(1), "Total", guid(3), "AmountDue"))


async def test_a_scan_ends_by_its_deadline_and_comes_back() -> None:
    rig = Scanning()
    rig.xero.lists = [page_of([invoice_json(1), invoice_json(2), invoice_json(3)])]
    events = rig.scan(scan(ScanKind.RECEIVABLES, TODAY))
    await anext(events)
    rig.clock.advance(599)
    await anext(events)
    rig.clock.advance(1)
    with pytest.raises(RetryableError, match="scan_unfinished"):
        await anext(events)


async def test_more_scans_than_places_wait_outside_the_process() -> None:
    rig = Scanning(at_once=1)
    rig.xero.lists = [page_of([invoice_json(1)]), page_of([invoice_json(2)])]
    first = rig.scan(scan(ScanKind.RECEIVABLES, TODAY))
    await anext(first)
    with pytest.raises(RetryableError, match="scans_busy") as busy:
        await rig.run(ScanKind.RECEIVABLES, TODAY)
    assert not busy.value.counts
    await first.aclose()
    assert numbers(await rig.run(ScanKind.RECEIVABLES, TODAY)) == ["INV-2"]


async def test_one_tenant_takes_two_places_and_leaves_the_others() -> None:
    rig = Scanning(at_once=10)
    rig.xero.lists = [page_of([invoice_json(number)]) for number in (1, 2, 3)]
    first, second = (rig.scan(scan(ScanKind.RECEIVABLES, TODAY)) for _ in range(2))
    await anext(first)
    await anext(second)
    with pytest.raises(RetryableError, match="scans_busy") as busy:
        await rig.run(ScanKind.RECEIVABLES, TODAY)
    assert not busy.value.counts
    await first.aclose()
    assert numbers(await rig.run(ScanKind.RECEIVABLES, TODAY)) == ["INV-3"]
    await second.aclose()


async def test_without_a_cursor_a_reconcile_looks_back_a_week() -> None:
    rig = Scanning()
    rig.xero.lists = [page_of([invoice_json(1)])]
    events = await rig.run(ScanKind.RECONCILE)
    assert [event.cause.kind for event in events] == [CauseKind.RECONCILE]
    assert rig.xero.list_calls == [(NOW - timedelta(days=7), 1)]


async def test_the_cursor_follows_xeros_clock_with_an_overlap() -> None:
    rig = Scanning(FakeCursors(NOW - timedelta(hours=1)))
    xeros_now = NOW + timedelta(seconds=90)
    rig.xero.lists = [page_of([], server_time=xeros_now)]
    await rig.run(ScanKind.RECONCILE)
    assert rig.cursors.kept[-1] == xeros_now - timedelta(minutes=10)


async def test_a_full_page_moves_the_cursor_and_page_one_is_asked_again() -> None:
    since = NOW - timedelta(hours=1)
    rig = Scanning(FakeCursors(since))
    changed_at = [since + timedelta(minutes=minute, milliseconds=400) for minute in range(4)]
    rig.xero.lists = [
        page_of([invoice_json(1, updated=changed_at[1]), invoice_json(2, updated=changed_at[2])], pages=2),
        page_of([invoice_json(2, updated=changed_at[2]), invoice_json(3, updated=changed_at[3])], pages=1),
    ]
    events = await rig.run(ScanKind.RECONCILE)
    assert numbers(events) == ["INV-1", "INV-2", "INV-3"]
    # A second before the last one seen: the answer may leave out what changed in the very second that is named.
    following = changed_at[2].replace(microsecond=0) - timedelta(seconds=1)
    assert rig.xero.list_calls == [(since, 1), (following, 1)]
    assert rig.cursors.kept == [since, following, NOW - timedelta(minutes=10)]


async def test_one_second_with_more_than_a_page_is_paged_by_number() -> None:
    since = NOW - timedelta(hours=1)
    rig = Scanning(FakeCursors(since))
    same = since + timedelta(milliseconds=300)
    rig.xero.lists = [
        page_of([invoice_json(1, updated=same), invoice_json(2, updated=same)], pages=2),
        page_of([invoice_json(3, updated=same)], pages=2),
    ]
    assert numbers(await rig.run(ScanKind.RECONCILE)) == ["INV-1", "INV-2", "INV-3"]
    assert rig.xero.list_calls == [(since, 1), (since, 2)]


async def test_a_reconcile_that_is_broken_off_goes_on_where_it_was() -> None:
    since = NOW - timedelta(hours=1)
    rig = Scanning(FakeCursors(since))
    rig.xero.lists = [page_of([invoice_json(1, updated=since + timedelta(minutes=5))], pages=2)]
    with pytest.raises(IndexError):
        await rig.run(ScanKind.RECONCILE)
    assert rig.cursors.kept[-1] == since + timedelta(minutes=5, seconds=-1)


@pytest.mark.parametrize("kind", ScanKind)
async def test_a_contact_that_xero_fails_on_keeps_nobody_from_the_next_page(kind: ScanKind) -> None:
    since = NOW - timedelta(hours=1)
    rig = Scanning(FakeCursors(since), contacts=3)
    rig.xero.poison = {guid(9001)}
    rig.xero.lists = [
        page_of([invoice_json(1, contact=1, updated=NOW), invoice_json(2, contact=2, updated=NOW)], pages=2),
        page_of(
            [invoice_json(number, contact=3, updated=NOW) for number in (3, 4)],
            pages=2 if kind is ScanKind.RECEIVABLES else 1,
        ),
    ]
    seen: list[InvoiceEnrichedV1] = []
    with pytest.raises(RetryableError, match="xero_unavailable"):
        await gather_into(seen, rig.scan(scan(kind, TODAY)))
    # The first page's batch of contacts is halved when it fails again.
    assert numbers(seen) == ["INV-3", "INV-4"]
    # What was not published is read by the next one, too.
    assert rig.cursors.kept == [since]


async def test_a_contact_that_xero_refuses_for_good_does_not_stop_the_cursor() -> None:
    rig = Scanning(FakeCursors(NOW - timedelta(hours=1)), contacts=2)
    rig.xero.poison, rig.xero.poisoned = {guid(9001)}, PermanentError("xero_refused_question")
    rig.xero.lists = [page_of([invoice_json(number, contact=number, updated=NOW) for number in (1, 2)])]
    seen: list[InvoiceEnrichedV1] = []
    with pytest.raises(PermanentError, match="xero_refused_question"):
        await gather_into(seen, rig.scan(scan(ScanKind.RECONCILE)))
    assert numbers(seen) == ["INV-2"]
    assert rig.cursors.kept[-1] == NOW - timedelta(minutes=10)


async def test_the_cursor_does_not_pass_what_was_not_published() -> None:
    since = NOW - timedelta(hours=1)
    rig = Scanning(FakeCursors(since))
    rig.xero.lists = [page_of([invoice_json(1), invoice_json(2)])]
    events = rig.scan(scan(ScanKind.RECONCILE))
    first = await anext(events)
    await events.aclose()
    assert first.invoice.invoice_id == guid(1)
    assert rig.cursors.kept == [since]


async def test_a_reconnected_organisation_is_caught_up_with_from_its_cursor() -> None:
    since = NOW - timedelta(days=40)
    rig = Scanning(FakeCursors(since))
    rig.xero.lists = [page_of([invoice_json(1)])]
    events = [event async for event in rig.scan.catch_up(TENANT)]
    assert [event.cause.kind for event in events] == [CauseKind.RECONCILE]
    assert rig.xero.list_calls == [(since, 1)]
    assert rig.cursors.kept[-1] == NOW - timedelta(minutes=10)


async def test_a_new_organisation_has_nothing_to_catch_up_with() -> None:
    rig = Scanning()
    assert [event async for event in rig.scan.catch_up(TENANT)] == []
    assert rig.xero.list_calls == []


async def polled(rig: Scanning, *minutes: float, after: float = 60) -> int:
    """An hour later a poll finds an invoice changed at each of these minutes after nine; how many are lost by then."""
    rig.clock.advance(60 * after)
    changed = [NOW + timedelta(minutes=minute) for minute in minutes]
    invoices = [invoice_json(round(minute), updated=at) for minute, at in zip(minutes, changed, strict=True)]
    rig.xero.lists = [page_of(invoices, server_time=rig.clock())]
    await rig.run(ScanKind.RECONCILE)
    rig.clock.advance(60 * 20)
    await rig.account.settle()
    rig.clock.advance(-60 * 20)
    return sum(rig.lost)


async def test_a_first_reconcile_says_nothing_of_webhooks_and_the_next_ones_do() -> None:
    rig = Scanning()
    assert await polled(rig, 1, 59) == 0
    # The overlap shows 59 again, from before the account was opened.
    assert await polled(rig, 59, 61, 119) == 2
    assert await polled(rig, 119, 121) == 3


async def test_what_was_heard_of_is_not_lost() -> None:
    rig = Scanning()
    await polled(rig)
    await rig.records.note(TENANT, {guid(70): NOW + timedelta(minutes=70)}, [])
    assert await polled(rig, 70, 71) == 1


async def test_an_emptied_redis_costs_one_poll_s_evidence() -> None:
    rig = Scanning()
    await polled(rig)
    rig.records.accounts.clear()
    assert await polled(rig, 70) == 0
    assert await polled(rig, 130) == 1


async def test_a_poll_after_a_pause_or_one_that_catches_up_says_nothing_of_webhooks() -> None:
    rig = Scanning()
    await polled(rig)
    assert await polled(rig, 70, after=151) == 0
    rig.xero.lists = [page_of([invoice_json(1, updated=rig.clock() + timedelta(minutes=1))], server_time=rig.clock())]
    assert len([event async for event in rig.scan.catch_up(TENANT)]) == 1
    rig.clock.advance(60 * 20)
    await rig.account.settle()
    assert rig.lost == []
