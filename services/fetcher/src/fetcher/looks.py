"""Use case: something may have changed, so look at it."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from fetcher.arrivals import Arrivals
from fetcher.contacts import ContactDirectory
from fetcher.gatherer import Gatherer
from fetcher.online_links import OnlineLinks
from fetcher.readings import Reading
from shared.contracts.invoices import Cause, CauseKind, InvoiceEnrichedV1
from shared.contracts.scans import InvoiceLookRequestedV1
from shared.contracts.xero import XeroEventReceivedV1
from shared.errors import PermanentError

_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_WITHOUT_USE = frozenset({"CREDITNOTE", "PREPAYMENT", "OVERPAYMENT", "SUBSCRIPTION"})


class LookAtInvoices:
    """Reads the invoices that a webhook or the notifier points at.

    ``of_events`` and ``of_requests`` read for the two. They are apart because what is about to be sent needs contacts
    that were read anew. ``links`` finds what customers are shown. ``ignored`` counts events by their category,
    ``arrivals`` notes what they led to.
    """

    def __init__(
        self,
        of_events: Gatherer[Reading],
        of_requests: Gatherer[Reading],
        contacts: ContactDirectory,
        links: OnlineLinks,
        ignored: Callable[[str], None],
        arrivals: Arrivals,
    ) -> None:
        self._of_events = of_events
        self._of_requests = of_requests
        self._contacts = contacts
        self._links = links
        self._ignored = ignored
        self._arrivals = arrivals

    async def after_event(self, event: XeroEventReceivedV1) -> AsyncGenerator[InvoiceEnrichedV1]:
        """What the invoice of the event is now; nothing for other categories.

        Raises:
            PermanentError: ``unknown_category``, ``invoice_not_found`` or ``unreadable_invoice``.
        """
        self._arrivals.received(event)
        category = event.category.upper()
        if category == "CONTACT":
            await self._contacts.forget(event.tenant_id, event.resource_id)
        elif category in _WITHOUT_USE:
            self._ignored(category)
        elif category == "INVOICE":
            cause = Cause(kind=CauseKind.WEBHOOK, event_type=event.event_type, event_at=event.event_at)
            found = await _look(self._of_events, event.tenant_id, [event.resource_id])
            for reading in found.readings:
                enriched = reading.event(event.tenant_id, cause)
                yield enriched
                self._arrivals.led_to(enriched)
            found.complain()
        else:
            raise PermanentError("unknown_category")

    async def on_request(self, request: InvoiceLookRequestedV1) -> AsyncGenerator[InvoiceEnrichedV1]:
        """What the invoices are now: first those that could be read, then the error for the others."""
        cause = Cause(kind=CauseKind.LOOK)
        found = await _look(self._of_requests, request.tenant_id, request.invoice_ids)
        if request.with_link:
            async with aclosing(self._links.added_to(request.tenant_id, found.readings)) as readings:
                async for reading in readings:
                    yield reading.event(request.tenant_id, cause)
        else:
            for reading in found.readings:
                yield reading.event(request.tenant_id, cause)
        found.complain()


@dataclass(frozen=True)
class _Found:
    readings: Sequence[Reading]
    failures: Sequence[BaseException]

    def complain(self) -> None:
        if self.failures:
            # A passing failure is tried again; only when none is left has the permanent one the last word.
            raise min(self.failures, key=lambda failure: isinstance(failure, PermanentError))


async def _look(gatherer: Gatherer[Reading], tenant_id: str, ids: Sequence[str]) -> _Found:
    wanted = list(dict.fromkeys(identifier.lower() for identifier in ids))
    # One id that is none would make Xero refuse the whole batch.
    loads = [gatherer.load(tenant_id, identifier) for identifier in wanted if _GUID.fullmatch(identifier)]
    outcomes = await asyncio.gather(*loads, return_exceptions=True)
    failures: list[BaseException] = [PermanentError("invoice_not_found")] if len(loads) < len(wanted) else []
    failures += [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    return _Found([outcome for outcome in outcomes if isinstance(outcome, Reading)], failures)
