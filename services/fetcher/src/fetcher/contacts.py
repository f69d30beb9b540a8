"""The contacts of a tenant's invoices: from the cache, else from Xero, fifty at a time."""

from collections.abc import AsyncIterator

from fetcher.batches import batches
from fetcher.faults import OF_ALL_OR_OF_ONE, REFUSED_QUESTION, UNAVAILABLE
from fetcher.mapping import contact_of, unknown_contact
from fetcher.piecemeal import Piecemeal
from fetcher.ports import Clock, ContactCache, ContactPage, Contacts, Cut, InvoicePage, XeroContacts
from shared.contracts.invoices import Contact
from shared.errors import DuebellError, RetryableError


class ContactDirectory:
    """Finds every row's contact for the fewest calls."""

    def __init__(self, xero: XeroContacts, cache: ContactCache, clock: Clock) -> None:
        self._xero = xero
        self._cache = cache
        self._clock = clock
        self._pages = Piecemeal(self._page, lambda page: {card.contact_id for card in page.cards})

    async def of_page(
        self, tenant_id: str, country: str, page: InvoicePage, *, anew: bool = False
    ) -> AsyncIterator[Contacts]:
        """Every row's contact by its id, in pieces as they come; ``country`` is the organisation's.

        ``anew`` takes nothing from the cache, so that no contact is older than its invoice. What keeps a contact from
        being read is raised after the others were given.
        """
        in_full = [contact_of(row.card, country) for row in page.rows if row.card is not None]
        await self._cache.keep(tenant_id, in_full, page.read_at)
        known = {contact.contact_id: contact for contact in in_full}
        names = {row.contact_id: row.contact_name for row in page.rows if row.contact_id not in known}
        if names and not anew:
            cached = await self._cache.find(tenant_id, list(names))
            # What was read with an invoice does not tell the groups; a reading of many contacts costs no more for it.
            known.update({key: contact for key, contact in cached.items() if contact.groups is not None})
        if known:
            yield known
        failures: list[DuebellError] = []
        for batch in batches([contact_id for contact_id in names if contact_id not in known]):
            wanted = {contact_id: names[contact_id] for contact_id in batch}
            yield await self._read(tenant_id, country, wanted, failures)
        if failures:
            raise failures[0]

    async def forget(self, tenant_id: str, contact_id: str) -> None:
        """The contact has changed: whatever was read of it until now is old."""
        await self._cache.drop(tenant_id, contact_id.lower(), self._clock())

    async def _read(
        self, tenant_id: str, country: str, names: dict[str, str], failures: list[DuebellError]
    ) -> Contacts:
        contacts: dict[str, Contact] = {}
        for part in await self._pages.read(tenant_id, lambda: list(names)):
            if part.error is not None:
                failures.append(part.error)
                contacts = {key: contact for key, contact in contacts.items() if key not in part.asked}
                if part.error.reason not in OF_ALL_OR_OF_ONE | {REFUSED_QUESTION}:
                    raise part.error
            contacts |= {key: unknown_contact(key, names[key]) for key in part.asked if part.error is None}
            if part.page is not None:
                found = [contact_of(card, country) for card in part.page.cards]
                await self._cache.keep(tenant_id, found, part.page.read_at)
                contacts |= {contact.contact_id: contact for contact in found}
        return contacts

    async def _page(self, tenant_id: str, cut: Cut) -> ContactPage | None:
        ids = cut()
        page = await self._xero.contacts(tenant_id, ids)
        if page is None and len(ids) == 1:
            # A contact that is none is left out of the list; "not found" says nothing of it.
            raise RetryableError(UNAVAILABLE, "status 404")
        return page
