"""The tenant's organisation: its country reads numbers, its time zone judges due dates."""

import asyncio

from fetcher.ports import Announce, Clock, OrganisationCache, XeroOrganisations
from shared.contracts.invoices import Organisation, OrganisationReadV1


class OrganisationDirectory:
    """Reads an organisation once a day at most, and tells everyone whenever it has."""

    def __init__(self, xero: XeroOrganisations, cache: OrganisationCache, announce: Announce, clock: Clock) -> None:
        self._xero = xero
        self._cache = cache
        self._announce = announce
        self._clock = clock
        self._reading: dict[str, asyncio.Task[Organisation]] = {}

    async def of(self, tenant_id: str) -> Organisation:
        """The organisation as it was at most a day ago."""
        return await self._cache.find(tenant_id) or await self.read(tenant_id)

    async def read(self, tenant_id: str) -> Organisation:
        """Read it from Xero now; callers at the same time share one reading, and none of them can cancel it."""
        reading = self._reading.get(tenant_id)
        if reading is None:
            reading = self._reading[tenant_id] = asyncio.create_task(self._read(tenant_id))
            reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(reading)

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, tenant_id: str) -> Organisation:
        try:
            read_at = self._clock()
            organisation = await self._xero.organisation(tenant_id)
            # Announced before it is kept: a crash between the two repeats the event instead of losing it for a day.
            await self._announce(OrganisationReadV1(tenant_id=tenant_id, organisation=organisation, read_at=read_at))
            await self._cache.keep(tenant_id, organisation)
            return organisation
        finally:
            del self._reading[tenant_id]
