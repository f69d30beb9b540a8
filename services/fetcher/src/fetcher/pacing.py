"""Use case: leave out reconciles while a tenant's day runs short, so that its calls last for what matters more."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from fetcher.purposes import DAY_SPENT
from fetcher.scans import ScanTenant
from shared.contracts.invoices import InvoiceEnrichedV1
from shared.contracts.scans import ScanKind, ScanRequestedV1
from shared.errors import PermanentError, RetryableError


class Pacing(Protocol):
    async def may_reconcile(self, tenant_id: str) -> bool:
        """Whether one may begin now; one that may not is counted as left out."""
        ...

    async def ended(self, tenant_id: str) -> None:
        """One was read to its end."""
        ...

    async def put_off(self, tenant_id: str) -> None:
        """One that had begun is left out."""
        ...


class PacedScans:
    """Scans as asked, but for reconciles that the tenant's day does not allow.

    A reconcile begins where the last one got to, so leaving one out loses nothing but time. They are asked for every
    hour: those of a spent day would otherwise wait together and all be made when the next one begins.
    """

    def __init__(self, scan: ScanTenant, pacing: Pacing) -> None:
        self._scan = scan
        self._pacing = pacing

    async def __call__(self, request: ScanRequestedV1) -> AsyncGenerator[InvoiceEnrichedV1]:
        """Raises as :class:`ScanTenant` does, but for a reconcile for which no calls are left."""
        is_reconcile = request.kind is ScanKind.RECONCILE
        if is_reconcile and not await self._pacing.may_reconcile(request.tenant_id):
            return
        try:
            async with aclosing(self._scan(request)) as events:
                async for event in events:
                    yield event
            if is_reconcile:
                await self._pacing.ended(request.tenant_id)
        except PermanentError:
            # It was read to its end, but for what nobody can read.
            if is_reconcile:
                await self._pacing.ended(request.tenant_id)
            raise
        except RetryableError as error:
            if not is_reconcile or error.reason not in DAY_SPENT:
                raise
            await self._pacing.put_off(request.tenant_id)

    def catch_up(self, tenant_id: str) -> AsyncGenerator[InvoiceEnrichedV1]:
        """What changed while an organisation was disconnected: nobody else would look for it."""
        return self._scan.catch_up(tenant_id)
