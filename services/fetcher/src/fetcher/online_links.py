"""The online links of invoices whose messages show one: asked of Xero once each, and never in the way of a message."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from weakref import WeakValueDictionary

from fetcher.ports import Link, LinkCache, XeroLinks
from fetcher.readings import Reading
from shared.contracts.invoices import Invoice
from shared.errors import DuebellError, RetryableError
from shared.online_links import safe_link

PATIENCE_SECONDS = 180.0
"""How long a request's readings wait for their links: long enough for two hundred at sixty calls a minute."""
REFUSED_SECONDS = 60.0
"""How long a refusal stands for all of a tenant's links."""
_HAS_PAGE = frozenset({"AUTHORISED", "PAID"})
_NOT_OFFERED = Link(reason="not_offered")


class OnlineLinks:
    """One call at a time per tenant: links never hold more than one of its places, and one invoice is asked for once.

    What refuses one link (a spent day, a missing permission, an outage) refuses the tenant's others for a minute
    without a call. ``had`` counts links by how they were had or why not.
    """

    def __init__(
        self,
        xero: XeroLinks,
        cache: LinkCache,
        had: Callable[[str], None],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        refused_seconds: float = REFUSED_SECONDS,
    ) -> None:
        self._xero = xero
        self._cache = cache
        self._had = had
        self._patience_seconds = patience_seconds
        self._refused_seconds = refused_seconds
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._refused: dict[str, tuple[float, str]] = {}

    async def added_to(self, tenant_id: str, readings: Sequence[Reading]) -> AsyncGenerator[Reading]:
        """Every reading with its invoice's link, or with the reason why there is none: known ones first."""
        deadline = asyncio.get_running_loop().time() + self._patience_seconds
        unknown = []
        for reading, link in await self._known(tenant_id, readings):
            if link is None:
                unknown.append(reading)
            else:
                yield self._with(reading, link, "kept" if link.url else link.reason)
        for reading in unknown:
            link = await self._found(tenant_id, reading.invoice.invoice_id, deadline)
            yield self._with(reading, link, "asked" if link.url else link.reason)

    async def _known(self, tenant_id: str, readings: Sequence[Reading]) -> list[tuple[Reading, Link | None]]:
        ids = [reading.invoice.invoice_id for reading in readings if _may_have_page(reading.invoice)]
        kept = {}
        with suppress(RetryableError):
            kept = dict(await self._cache.find(tenant_id, ids))
        asked_for = set(ids)
        return [
            (reading, kept.get(identifier) if (identifier := reading.invoice.invoice_id) in asked_for else _NOT_OFFERED)
            for reading in readings
        ]

    async def _found(self, tenant_id: str, invoice_id: str, deadline: float) -> Link:
        turn = self._turns.setdefault(tenant_id, asyncio.Lock())
        try:
            async with asyncio.timeout_at(deadline):
                await turn.acquire()
        except TimeoutError:
            return Link(reason="too_slow")
        try:
            if refusal := self._refusal(tenant_id):
                return Link(reason=refusal)
            return await self._asked(tenant_id, invoice_id)
        except DuebellError as error:
            self._refused[tenant_id] = (asyncio.get_running_loop().time() + self._refused_seconds, error.reason)
            return Link(reason=error.reason)
        finally:
            turn.release()

    def _refusal(self, tenant_id: str) -> str | None:
        now = asyncio.get_running_loop().time()
        self._refused = {tenant: kept for tenant, kept in self._refused.items() if kept[0] > now}
        refused = self._refused.get(tenant_id)
        return refused[1] if refused else None

    async def _asked(self, tenant_id: str, invoice_id: str) -> Link:
        # Somebody else may have asked while this one waited for its turn.
        if kept := (await self._cache.find(tenant_id, [invoice_id])).get(invoice_id):
            return kept
        address = await self._xero.online_address(tenant_id, invoice_id)
        if address is None:
            link = _NOT_OFFERED
        elif url := safe_link(address):
            link = Link(url=url)
        else:
            link = Link(reason="unsafe_address")
        with suppress(RetryableError):
            await self._cache.keep(tenant_id, invoice_id, link)
        return link

    def _with(self, reading: Reading, link: Link, outcome: str | None) -> Reading:
        self._had(outcome or "")
        told = {"online_url": link.url, "no_link_reason": link.reason}
        return replace(reading, invoice=reading.invoice.model_copy(update=told))


def _may_have_page(invoice: Invoice) -> bool:
    """Only what a customer may be written to about; Xero offers no page of a bill or a draft."""
    return invoice.type == "ACCREC" and invoice.status in _HAS_PAGE
