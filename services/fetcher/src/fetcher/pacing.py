"""Use case: leave out reconciles while a tenant's day runs short, so that its calls last for what matters more."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from fetcher.scans import ScanTenant
from shared.contracts.invoices import InvoiceEnrichedV1
from shared.contracts.scans import ScanKind, ScanRequestedV1


class PacedScans:
    """Scans as asked, but for reconciles that ``may_reconcile`` puts off.

    A reconcile begins where the last one ended, so leaving one out loses nothing but time.
    """

    def __init__(self, scan: ScanTenant, may_reconcile: Callable[[str], Awaitable[bool]]) -> None:
        self._scan = scan
        self._may_reconcile = may_reconcile

    async def __call__(self, request: ScanRequestedV1) -> AsyncGenerator[InvoiceEnrichedV1]:
        """Raises as :class:`ScanTenant` does."""
        if request.kind is ScanKind.RECONCILE and not await self._may_reconcile(request.tenant_id):
            return
        async with aclosing(self._scan(request)) as events:
            async for event in events:
                yield event

    def catch_up(self, tenant_id: str) -> AsyncGenerator[InvoiceEnrichedV1]:
        """What changed while an organisation was disconnected: nobody else would look for it."""
        return self._scan.catch_up(tenant_id)
