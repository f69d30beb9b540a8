"""The contacts of a tenant's invoices: from the cache, else from Xero, fifty at a time."""

from collections.abc import AsyncIterator, Sequence

from fetcher.batches import batches, halves
from fetcher.mapping import contact_of, unknown_contact
from fetcher.ports import Clock, ContactCache, ContactPage, Contacts, InvoicePage, XeroContacts
from shared.contracts.invoices import Contact


class ContactDirectory:
    """Finds every row's contact for the fewest calls."""

    def __init__(self, xero: XeroContacts, cache: ContactCache, clock: Clock) -> None:
        self._xero = xero
        self._cache = cache
        self._clock = clock

    async def of_page(
        self, tenant_id: str, country: str, page: InvoicePage, *, anew: bool = False
    ) -> AsyncIterator[Contacts]:
        """Every row's contact by its id, in pieces as they come; ``country`` is the organisation's.

        ``anew`` takes nothing from the cache, so that no contact is older than its invoice.
        """
        in_full = [contact_of(row.card, country) for row in page.rows if row.card is not None]
        await self._cache.keep(tenant_id, in_full, page.read_at)
        known = {contact.contact_id: contact for contact in in_full}
        names = {row.contact_id: row.contact_name for row in page.rows if row.contact_id not in known}
        if names and not anew:
            known.update(await self._cache.find(tenant_id, list(names)))
        if known:
            yield known
        for batch in batches([contact_id for contact_id in names if contact_id not in known]):
            yield await self._read(tenant_id, country, {contact_id: names[contact_id] for contact_id in batch})

    async def forget(self, tenant_id: str, contact_id: str) -> None:
        """The contact has changed: whatever was read of it until now is old."""
        await self._cache.drop(tenant_id, contact_id.lower(), self._clock())

    async def _read(self, tenant_id: str, country: str, names: dict[str, str]) -> Contacts:
        contacts: dict[str, Contact] = {}
        for answer in await self._answers(tenant_id, list(names)):
            found = [contact_of(card, country) for card in answer.cards]
            await self._cache.keep(tenant_id, found, answer.read_at)
            contacts.update({contact.contact_id: contact for contact in found})
        return {key: contacts.get(key) or unknown_contact(key, name) for key, name in names.items()}

    async def _answers(self, tenant_id: str, ids: Sequence[str]) -> list[ContactPage]:
        answer = await self._xero.contacts(tenant_id, ids)
        if answer is not None:
            return [answer]
        if len(ids) == 1:
            return []
        return [page for half in halves(ids) for page in await self._answers(tenant_id, half)]
