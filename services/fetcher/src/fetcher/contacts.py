"""The contacts of a tenant's invoices: from the cache, else from Xero, fifty at a time."""

from collections.abc import AsyncIterator, Sequence

from fetcher.batches import batches, halves
from fetcher.mapping import contact_of, unknown_contact
from fetcher.ports import ContactCache, ContactCard, Contacts, InvoiceRow, XeroContacts
from shared.contracts.invoices import Contact


class ContactDirectory:
    """Finds every row's contact for the fewest calls."""

    def __init__(self, xero: XeroContacts, cache: ContactCache) -> None:
        self._xero = xero
        self._cache = cache

    async def of_rows(self, tenant_id: str, country: str, rows: Sequence[InvoiceRow]) -> AsyncIterator[Contacts]:
        """Every row's contact by its id, in pieces as they come; ``country`` is the organisation's."""
        with_rows = [contact_of(row.card, country) for row in rows if row.card is not None]
        await self._cache.keep(tenant_id, with_rows)
        known = {contact.contact_id: contact for contact in with_rows}
        names = {row.contact_id: row.contact_name for row in rows if row.contact_id not in known}
        if names:
            known.update(await self._cache.find(tenant_id, list(names)))
        if known:
            yield known
        for batch in batches([contact_id for contact_id in names if contact_id not in known]):
            yield await self._read(tenant_id, country, {contact_id: names[contact_id] for contact_id in batch})

    async def forget(self, tenant_id: str, contact_id: str) -> None:
        """The contact has changed: whatever is kept of it is old."""
        await self._cache.drop(tenant_id, contact_id.lower())

    async def _read(self, tenant_id: str, country: str, names: dict[str, str]) -> Contacts:
        found = [contact_of(card, country) for card in await self._cards(tenant_id, list(names))]
        await self._cache.keep(tenant_id, found)
        contacts: dict[str, Contact] = {contact.contact_id: contact for contact in found}
        return {key: contacts.get(key) or unknown_contact(key, name) for key, name in names.items()}

    async def _cards(self, tenant_id: str, ids: Sequence[str]) -> list[ContactCard]:
        cards = await self._xero.contacts(tenant_id, ids)
        if cards is not None:
            return list(cards)
        if len(ids) == 1:
            return []
        return [card for half in halves(ids) for card in await self._cards(tenant_id, half)]
