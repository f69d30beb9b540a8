"""Use case: serve a scan's moment once, however often it is asked for."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fetcher.pacing import PacedScans
from fetcher.ports import ServedScans
from shared.contracts.invoices import InvoiceEnrichedV1
from shared.contracts.scans import ScanRequestedV1
from shared.telemetry.logging import get_logger

_log = get_logger(__name__)


class ScansOnce:
    """Leaves a request alone whose moment was served: its publisher may not know that it had arrived before.

    A moment is served when the scan has ended, so that one that fails is tried again. Copies at the same time are all
    served, which costs calls and harms nobody.
    """

    def __init__(self, scans: PacedScans, served: ServedScans) -> None:
        self._scans = scans
        self._served = served

    async def __call__(self, request: ScanRequestedV1) -> AsyncGenerator[InvoiceEnrichedV1]:
        """Raises as :class:`PacedScans` does."""
        if request.moment is not None and await self._served.knows(request.moment):
            _log.info("scan.served_before", kind=request.kind)
            return
        async with aclosing(self._scans(request)) as events:
            async for event in events:
                yield event
        if request.moment is not None:
            await self._served.keep(request.moment)

    def catch_up(self, tenant_id: str) -> AsyncGenerator[InvoiceEnrichedV1]:
        """What changed while an organisation was disconnected."""
        return self._scans.catch_up(tenant_id)
