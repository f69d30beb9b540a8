"""Requests to the fetcher: scan a tenant, or look at some invoices again."""

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from shared.contracts.base import Event, Identifier

LONGEST_SCAN = timedelta(minutes=10)
"""Within this long of its beginning one delivery of a scan has published all that it publishes."""


class ScanKind(StrEnum):
    RECEIVABLES = "receivables"
    """Open sales invoices due before ``due_before``."""
    RECONCILE = "reconcile"
    """Everything that changed since the tenant's cursor."""


class ScanRequestedV1(Event):
    """Read this tenant's invoices now. ``due_before`` is exclusive and given for receivables.

    ``moment`` is the idempotency key: who has served it leaves a second request alone. A request by hand has none.
    """

    key: ClassVar[str] = "scan.requested.v1"

    tenant_id: Identifier
    kind: ScanKind
    local_date: date
    due_before: date | None = None
    moment: Identifier | None = None


class InvoiceLookRequestedV1(Event):
    """The notifier is about to send and its snapshots of these invoices are too old, or lack what it will show.

    ``with_link`` asks for each invoice's online link, too: a call of its own for an invoice that never had one.
    """

    key: ClassVar[str] = "invoice.look.requested.v1"

    tenant_id: Identifier
    invoice_ids: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=500)]
    reason: str
    with_link: bool = False
