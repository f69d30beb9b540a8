"""Notes what webhooks lead to, in memory, so that no message waits for the account that is kept of it."""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from fetcher.ports import WebhookRecords
from fetcher.versions import Version
from shared.contracts.invoices import InvoiceEnrichedV1
from shared.contracts.xero import XeroEventReceivedV1
from shared.errors import RetryableError

MOST_NOTES = 50_000
"""Held while Redis is away; what comes beyond is not noted and may be counted as found by polls alone."""


class Arrivals:
    """``versions_read`` takes how many versions were read because of a webhook and by nobody before.

    A process that dies loses the notes of its last second; its unacknowledged messages come again.
    """

    def __init__(self, records: WebhookRecords, versions_read: Callable[[int], None]) -> None:
        self._records = records
        self._versions_read = versions_read
        self._told: dict[tuple[str, str], datetime] = {}
        self._read: dict[Version, None] = {}
        self._heard_at: datetime | None = None

    def received(self, event: XeroEventReceivedV1) -> None:
        """A webhook came. One about anything but an invoice is no sign that those about invoices come."""
        if event.category.upper() == "INVOICE":
            self._heard_at = max(event.received_at, self._heard_at or event.received_at)
            self._tell((event.tenant_id, event.resource_id.lower()), event.event_at)

    def led_to(self, event: InvoiceEnrichedV1) -> None:
        """A webhook led to this, which was published."""
        if event.invoice.updated_at is not None and len(self._read) < MOST_NOTES:
            self._read[Version(event.tenant_id, event.invoice.invoice_id, event.invoice.updated_at)] = None

    async def flush(self) -> None:
        """Write the notes down. Raises RetryableError and keeps them."""
        told, read, heard_at = self._told, self._read, self._heard_at
        self._told, self._read, self._heard_at = {}, {}, None
        told_of, read_of = defaultdict[str, dict[str, datetime]](dict), defaultdict[str, list[Version]](list)
        for (tenant_id, invoice_id), at in told.items():
            told_of[tenant_id][invoice_id] = at
        for version in read:
            read_of[version.tenant_id].append(version)
        try:
            if heard_at is not None:
                await self._records.hear(heard_at)
            for tenant_id in told_of.keys() | read_of.keys():
                self._versions_read(await self._records.note(tenant_id, told_of[tenant_id], read_of[tenant_id]))
        except RetryableError:
            # Written twice is written once.
            self._heard_at = max((at for at in (heard_at, self._heard_at) if at is not None), default=None)
            self._read = dict.fromkeys([*self._read, *read][:MOST_NOTES])
            for key, at in told.items():
                self._tell(key, at)
            raise

    def _tell(self, key: tuple[str, str], at: datetime) -> None:
        if key in self._told or len(self._told) < MOST_NOTES:
            self._told[key] = max(at, self._told.get(key, at))
