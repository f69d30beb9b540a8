"""Use case: go through a tenant's invoices, all that are overdue or all that changed."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from fetcher.faults import OF_ALL_OR_OF_ONE, REFUSED_QUESTION
from fetcher.organisations import OrganisationDirectory
from fetcher.poll_account import PollAccount
from fetcher.ports import Clock, Cursors, InvoicePage, UnreadableInvoice, XeroInvoices
from fetcher.readings import InvoiceReader, unreadable
from shared.contracts.invoices import Cause, CauseKind, InvoiceEnrichedV1, Organisation
from shared.contracts.scans import LONGEST_SCAN, ScanKind, ScanRequestedV1
from shared.errors import DuebellError, PermanentError, RetryableError
from shared.telemetry.logging import get_logger

FIRST_LOOK_BACK = timedelta(days=7)
"""Where no cursor is kept, on a first run or after Redis was emptied: longer than an outage is likely to last."""
OVERLAP = timedelta(minutes=10)
_SMALLEST_PAGE = 100
_MOST_ROUNDS = 3
_log = get_logger(__name__)


@dataclass(frozen=True)
class ScanBounds:
    """How long one delivery may take, how many scans one process runs at once and of one tenant, and how long one waits
    for its place."""

    seconds: float = LONGEST_SCAN.total_seconds()
    at_once: int = 20
    of_one_tenant: int = 2
    queueing_seconds: float = 60.0


_BOUNDS = ScanBounds()


class ScanTenant:
    """Reads page after page and gives every invoice on as soon as its contact is known.

    Beyond its bounds a request is tried again later; invoices that were published are published again, which harms
    nobody.
    """

    def __init__(
        self,
        xero: XeroInvoices,
        reader: InvoiceReader,
        organisations: OrganisationDirectory,
        cursors: Cursors,
        clock: Clock,
        account: PollAccount,
        bounds: ScanBounds = _BOUNDS,
    ) -> None:
        self._xero = xero
        self._reader = reader
        self._organisations = organisations
        self._cursors = cursors
        self._clock = clock
        self._account = account
        self._longest = timedelta(seconds=bounds.seconds)
        self._places = asyncio.Semaphore(bounds.at_once)
        self._running: Counter[str] = Counter()
        self._of_one_tenant = bounds.of_one_tenant
        self._queueing_seconds = bounds.queueing_seconds

    async def __call__(
        self, request: ScanRequestedV1, *, catching_up: bool = False
    ) -> AsyncGenerator[InvoiceEnrichedV1]:
        """The tenant's invoices as they are now. Nothing is concluded of webhooks while ``catching_up``.

        Raises:
            RetryableError: ``scan_unfinished`` or ``scans_busy``.
            PermanentError: ``due_before_missing``, or ``unreadable_invoice`` after everything else was read.
        """
        async with self._place(request.tenant_id):
            organisation = await self._organisations.of(request.tenant_id)
            if request.kind is ScanKind.RECONCILE:
                events = self._reconcile(request.tenant_id, organisation, catching_up=catching_up)
            elif request.due_before is None:
                raise PermanentError("due_before_missing")
            else:
                events = self._receivables(request.tenant_id, organisation, request.due_before)
            deadline = self._clock() + self._longest
            async with aclosing(events):
                async for event in events:
                    yield event
                    if self._clock() >= deadline:
                        raise RetryableError("scan_unfinished", retry_after=1)

    async def catch_up(self, tenant_id: str) -> AsyncGenerator[InvoiceEnrichedV1]:
        """What changed while an organisation was disconnected; nothing of one that was never reconciled.

        Raises as a reconciliation does.
        """
        if await self._cursors.find(tenant_id) is None:
            return
        request = ScanRequestedV1(tenant_id=tenant_id, kind=ScanKind.RECONCILE, local_date=self._clock().date())
        async with aclosing(self(request, catching_up=True)) as events:
            async for event in events:
                yield event

    @asynccontextmanager
    async def _place(self, tenant_id: str) -> AsyncIterator[None]:
        if self._running[tenant_id] >= self._of_one_tenant:
            raise RetryableError("scans_busy", retry_after=60, counts=False)
        self._running[tenant_id] += 1
        try:
            try:
                async with asyncio.timeout(self._queueing_seconds):
                    await self._places.acquire()
            except TimeoutError as error:
                raise RetryableError("scans_busy", retry_after=15, counts=False) from error
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._running[tenant_id] -= 1
            if not self._running[tenant_id]:
                del self._running[tenant_id]

    async def _receivables(
        self, tenant_id: str, organisation: Organisation, due_before: date
    ) -> AsyncGenerator[InvoiceEnrichedV1]:
        seen, bad, failures = _Seen(), dict[str, UnreadableInvoice](), list[DuebellError]()
        for _ in range(_MOST_ROUNDS):
            number, counts = 1, set[int | None]()
            while True:
                page = await self._xero.receivables(tenant_id, due_before, number)
                counts.add(page.item_count)
                bad |= {problem.invoice_id: problem for problem in page.unreadable}
                async for event in self._events(tenant_id, organisation, _fresh(page, seen), CauseKind.SCAN, failures):
                    yield event
                if _is_last(page, number):
                    break
                number += 1
            # An invoice paid meanwhile pulls a later one onto a page that was already read: go round once more.
            if len(counts) == 1:
                break
        else:
            # What slipped from page to page in each round is read by tomorrow's scan.
            _log.warning("scan.restless", tenant_id=tenant_id, rounds=_MOST_ROUNDS)
        _complain(tenant_id, bad, failures)

    async def _reconcile(
        self, tenant_id: str, organisation: Organisation, *, catching_up: bool
    ) -> AsyncGenerator[InvoiceEnrichedV1]:
        since = await self._cursors.find(tenant_id) or self._clock() - FIRST_LOOK_BACK
        started_at = self._clock()
        judged_from = await self._account.judged_from(tenant_id, catching_up=catching_up)
        seen, bad, failures = _Seen(), dict[str, UnreadableInvoice](), list[DuebellError]()
        began_at: datetime | None = None
        number = 1
        while True:
            page = await self._xero.changed(tenant_id, since, number)
            began_at = began_at or page.server_time
            bad |= {problem.invoice_id: problem for problem in page.unreadable}
            fresh = _fresh(page, seen)
            async for event in self._events(tenant_id, organisation, fresh, CauseKind.RECONCILE, failures):
                yield event
            if judged_from is not None:
                await self._account.found(tenant_id, fresh.rows, judged_from)
            newest = max((row.invoice.updated_at for row in page.rows if row.invoice.updated_at), default=since)
            if _is_last(page, number):
                break
            # By key, not by number: a row that changes meanwhile moves to the end and pulls the others forward.
            # A second of overlap, because "modified since" may leave out what was modified in that very second.
            # Numbers serve only where two seconds hold more than a page.
            following = newest.replace(microsecond=0) - timedelta(seconds=1)
            since, number = (following, 1) if following > since else (since, number + 1)
            if not _may_pass(failures):
                await self._cursors.keep(tenant_id, since)
        if not _may_pass(failures):
            await self._cursors.keep(tenant_id, (began_at or newest) - OVERLAP)
        await self._account.ended(tenant_id, judged_from or began_at or started_at)
        _complain(tenant_id, bad, failures)

    async def _events(
        self,
        tenant_id: str,
        organisation: Organisation,
        page: InvoicePage,
        kind: CauseKind,
        failures: list[DuebellError],
    ) -> AsyncGenerator[InvoiceEnrichedV1]:
        """A contact that cannot be read keeps nobody from the next page: it is one of ``failures``."""
        # Reminders come of scans, and may leave at once: their contacts are as fresh as their invoices.
        anew = kind is CauseKind.SCAN
        try:
            async for reading in self._reader.complete(tenant_id, organisation, page, contacts_anew=anew):
                yield reading.event(tenant_id, Cause(kind=kind))
        except DuebellError as error:
            if error.reason not in OF_ALL_OR_OF_ONE | {REFUSED_QUESTION}:
                raise
            failures.append(error)


_Seen = set[tuple[str, datetime | None]]


def _fresh(page: InvoicePage, seen: _Seen) -> InvoicePage:
    """The page without the versions of invoices that an earlier page held; ``seen`` learns the others."""
    rows = tuple(row for row in page.rows if (row.invoice.invoice_id, row.invoice.updated_at) not in seen)
    seen |= {(row.invoice.invoice_id, row.invoice.updated_at) for row in rows}
    return replace(page, rows=rows)


def _is_last(page: InvoicePage, number: int) -> bool:
    if page.length == 0:
        return True
    return page.length < _SMALLEST_PAGE if page.page_count is None else number >= page.page_count


def _may_pass(failures: Sequence[DuebellError]) -> bool:
    """Whether reading the same again may bring more; what is refused for good must not be read for ever."""
    return any(not isinstance(failure, PermanentError) for failure in failures)


def _complain(tenant_id: str, bad: Mapping[str, UnreadableInvoice], failures: Sequence[DuebellError]) -> None:
    """The dead letter is the scan's; which invoices it could not read is told here alone."""
    for problem in bad.values():
        _log.error("invoice.unreadable", tenant_id=tenant_id, invoice_id=problem.invoice_id, field=problem.field)
    # What may yet be read is tried again first.
    for failure in sorted(failures, key=lambda failure: isinstance(failure, PermanentError)):
        raise failure
    for problem in bad.values():
        raise unreadable(problem)
