"""The fetcher's looks at invoices around fake books, and what asks for them."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

from fetcher.gatherer import Gatherer
from fetcher.looks import LookAtInvoices
from fetcher.readings import Reading
from shared.contracts import InvoiceEnrichedV1, InvoiceLookRequestedV1, XeroEventReceivedV1
from unit.fetcher.samples import NOW, TENANT, FakeXero, Rig, guid


class Looking(Rig):
    def __init__(self, xero: FakeXero) -> None:
        super().__init__(xero)
        self.ignored: list[str] = []
        self.look = LookAtInvoices(
            Gatherer[Reading](self.reader.read),
            Gatherer[Reading](partial(self.reader.read, contacts_anew=True)),
            self.contacts,
            self.links,
            self.ignored.append,
            self.arrivals,
        )

    async def after_events(self, *ids: str) -> list[InvoiceEnrichedV1]:
        """What comes of these invoices' events when all of them arrive at once."""
        looks = (collected(self.look.after_event(event(resource_id=identifier))) for identifier in ids)
        return [enriched for found in await asyncio.gather(*looks) for enriched in found]


def event(category: str = "INVOICE", resource_id: str = guid(1)) -> XeroEventReceivedV1:
    return XeroEventReceivedV1(
        event_id="e",
        tenant_id=TENANT,
        category=category,
        event_type="UPDATE",
        resource_id=resource_id,
        event_at=NOW,
        received_at=NOW,
    )


def request(*ids: str, with_link: bool = False) -> InvoiceLookRequestedV1:
    return InvoiceLookRequestedV1(tenant_id=TENANT, invoice_ids=ids, reason="before_send", with_link=with_link)


async def collected(outcomes: AsyncGenerator[Any]) -> list[Any]:
    return [outcome async for outcome in outcomes]
