"""What the fetcher does with each message."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from faststream.rabbit import RabbitRouter

from fetcher.looks import LookAtInvoices
from fetcher.organisations import OrganisationDirectory
from fetcher.scans_once import ScansOnce
from fetcher.shares import TenantShares
from shared.contracts import (
    ConnectionEstablishedV1,
    Event,
    InvoiceLookRequestedV1,
    ScanRequestedV1,
    XeroEventReceivedV1,
)
from shared.runtime.consumer import prefetching
from shared.runtime.publisher import Publishes
from shared.topology import queues

BULK_PREFETCH = 150
"""Three batches: one being read, one being cut, one on its way. More would only stand before the hot lane's work."""


def build_router(
    look: LookAtInvoices,
    scan: ScansOnce,
    organisations: OrganisationDirectory,
    hot_shares: TenantShares,
    events: Publishes,
) -> RabbitRouter:
    router = RabbitRouter()

    @router.subscriber(queues.FETCHER_XERO_EVENT_RECEIVED.subscription())
    async def on_xero_event_received(event: XeroEventReceivedV1) -> None:
        """Read the invoice that changed and say what it is now."""
        with hot_shares.place(event.tenant_id):
            await _publish_all(look.after_event(event), events)

    @router.subscriber(queues.FETCHER_XERO_EVENT_RECEIVED_BULK.subscription(), channel=prefetching(BULK_PREFETCH))
    async def on_bulk_xero_event_received(event: XeroEventReceivedV1) -> None:
        """The same for what is beyond a tenant's burst."""
        await _publish_all(look.after_event(event), events)

    @router.subscriber(queues.FETCHER_INVOICE_LOOK_REQUESTED.subscription())
    async def on_invoice_look_requested(request: InvoiceLookRequestedV1) -> None:
        """Read the invoices that are about to be written of."""
        await _publish_all(look.on_request(request), events)

    @router.subscriber(queues.FETCHER_SCAN_REQUESTED.subscription())
    async def on_scan_requested(request: ScanRequestedV1) -> None:
        """Read all of a tenant's invoices that are overdue, or that changed."""
        await _publish_all(scan(request), events)

    @router.subscriber(queues.FETCHER_CONNECTION_ESTABLISHED.subscription())
    async def on_connection_established(event: ConnectionEstablishedV1) -> None:
        """Read the organisation, which tells everyone where it is and what time it is there, and catch up."""
        await organisations.read(event.tenant_id)
        await _publish_all(scan.catch_up(event.tenant_id), events)

    return router


async def _publish_all(outcomes: AsyncGenerator[Event], events: Publishes) -> None:
    """Publish each outcome, confirmed, before the next is asked for."""
    async with aclosing(outcomes):
        async for outcome in outcomes:
            await events.publish(outcome)
