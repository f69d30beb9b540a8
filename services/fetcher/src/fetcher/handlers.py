"""What the fetcher does with each message."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from faststream.rabbit import RabbitRouter

from fetcher.intake import Intake, Turn
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

EVENT_PREFETCH = 2500
"""A batch for each of fifty tenants that change much at the same time: a batch holds no more than what was let in."""
BULK_PAUSE_SECONDS = 0.002
"""Between two deliveries that begin: most of the processor is left to the hot lane while the prefetch fills."""


@dataclass(frozen=True)
class LaneShares:
    """A tenant's shares of the two lanes of events."""

    hot: TenantShares
    bulk: TenantShares


def build_router(
    look: LookAtInvoices,
    scan: ScansOnce,
    organisations: OrganisationDirectory,
    shares: LaneShares,
    resume: Callable[[str], Awaitable[None]],
    events: Publishes,
    publishing: asyncio.Semaphore,
) -> RabbitRouter:
    turns = {
        queues.FETCHER_XERO_EVENT_RECEIVED.name: Turn(at_once=20),
        queues.FETCHER_XERO_EVENT_RECEIVED_BULK.name: Turn(BULK_PAUSE_SECONDS),
    }

    router = RabbitRouter(middlewares=[partial(Intake, turns=turns)])

    @router.subscriber(queues.FETCHER_XERO_EVENT_RECEIVED.subscription(), channel=prefetching(EVENT_PREFETCH))
    async def on_xero_event_received(event: XeroEventReceivedV1) -> None:
        """Read the invoice that changed and say what it is now."""
        async with shares.hot.place(event.tenant_id):
            await _publish_all(look.after_event(event), events, publishing)

    @router.subscriber(queues.FETCHER_XERO_EVENT_RECEIVED_BULK.subscription(), channel=prefetching(EVENT_PREFETCH))
    async def on_bulk_xero_event_received(event: XeroEventReceivedV1) -> None:
        """The same for what is beyond a tenant's burst."""
        async with shares.bulk.place(event.tenant_id):
            await _publish_all(look.after_event(event), events, publishing)

    @router.subscriber(queues.FETCHER_INVOICE_LOOK_REQUESTED.subscription())
    async def on_invoice_look_requested(request: InvoiceLookRequestedV1) -> None:
        """Read the invoices that are about to be written of."""
        await _publish_all(look.on_request(request), events, publishing)

    @router.subscriber(queues.FETCHER_SCAN_REQUESTED.subscription())
    async def on_scan_requested(request: ScanRequestedV1) -> None:
        """Read all of a tenant's invoices that are overdue, or that changed."""
        await _publish_all(scan(request), events, publishing)

    @router.subscriber(queues.FETCHER_CONNECTION_ESTABLISHED.subscription())
    async def on_connection_established(event: ConnectionEstablishedV1) -> None:
        """Read the organisation, which tells everyone where it is and what time it is there, and catch up."""
        await resume(event.tenant_id)
        await organisations.read(event.tenant_id)
        await _publish_all(scan.catch_up(event.tenant_id), events, publishing)

    return router


async def _publish_all(outcomes: AsyncGenerator[Event], events: Publishes, places: asyncio.Semaphore) -> None:
    """Publish each outcome, confirmed, before the next is asked for."""
    async with aclosing(outcomes):
        async for outcome in outcomes:
            async with places:
                await events.publish(outcome)
