"""Turns a batch of invoice ids into invoices with their contacts and organisation."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fetcher.contacts import ContactDirectory
from fetcher.organisations import OrganisationDirectory
from fetcher.piecemeal import Piecemeal
from fetcher.ports import Cut, InvoicePage, InvoiceRow, UnreadableInvoice, XeroInvoices
from shared.contracts.invoices import Cause, Contact, Invoice, InvoiceEnrichedV1, Organisation
from shared.errors import DuebellError, PermanentError


@dataclass(frozen=True)
class Reading:
    """All that is published of an invoice, but for why it was read."""

    invoice: Invoice
    contact: Contact
    organisation: Organisation
    read_at: datetime

    def event(self, tenant_id: str, cause: Cause) -> InvoiceEnrichedV1:
        return InvoiceEnrichedV1(
            tenant_id=tenant_id,
            invoice=self.invoice,
            contact=self.contact,
            organisation=self.organisation,
            read_at=self.read_at,
            cause=cause,
        )


class InvoiceReader:
    """Reads invoices by their ids."""

    def __init__(self, xero: XeroInvoices, contacts: ContactDirectory, organisations: OrganisationDirectory) -> None:
        self._xero = xero
        self._contacts = contacts
        self._organisations = organisations
        self._pages = Piecemeal(self._page, _shown)

    async def read(self, tenant_id: str, cut: Cut, *, contacts_anew: bool = False) -> Mapping[str, Reading | Exception]:
        """A reading, or why there is none, for every id of the cut, in one call where Xero allows it.

        With ``contacts_anew`` the contacts are as fresh as the invoices, for one more call where there are several.
        """
        organisation = await self._organisations.of(tenant_id)
        answers: dict[str, Reading | Exception] = {}
        for part in await self._pages.read(tenant_id, cut):
            answers |= {identifier: part.error or not_found() for identifier in part.asked}
            if part.page is not None:
                answers |= _unreadables(part.asked, part.page)
                answers |= await self._completed(tenant_id, organisation, part.page, contacts_anew=contacts_anew)
        return answers

    async def complete(
        self, tenant_id: str, organisation: Organisation, page: InvoicePage, *, contacts_anew: bool = False
    ) -> AsyncIterator[Reading]:
        """The page's invoices with their contacts, as the contacts come."""
        by_contact: dict[str, list[InvoiceRow]] = {}
        for row in page.rows:
            by_contact.setdefault(row.contact_id, []).append(row)
        async for contacts in self._contacts.of_page(tenant_id, organisation.country, page, anew=contacts_anew):
            for contact_id, contact in contacts.items():
                for row in by_contact.get(contact_id, ()):
                    yield Reading(row.invoice, contact, organisation, page.read_at)

    async def _completed(
        self, tenant_id: str, organisation: Organisation, page: InvoicePage, *, contacts_anew: bool
    ) -> Mapping[str, Reading | Exception]:
        readings: dict[str, Reading | Exception] = {}
        try:
            async for reading in self.complete(tenant_id, organisation, page, contacts_anew=contacts_anew):
                readings[reading.invoice.invoice_id] = reading
        except DuebellError as error:
            # A contact that cannot be read keeps nobody from the others.
            return {row.invoice.invoice_id: error for row in page.rows} | readings
        return readings

    async def _page(self, tenant_id: str, cut: Cut) -> InvoicePage | None:
        return (await self._xero.invoices(tenant_id, cut)).page


def _shown(page: InvoicePage) -> set[str]:
    return {row.invoice.invoice_id for row in page.rows} | {problem.invoice_id for problem in page.unreadable}


def _unreadables(asked: Sequence[str], page: InvoicePage) -> Mapping[str, Exception]:
    """One that was asked for alone is known even where its own id cannot be read."""
    alone = asked[0] if len(asked) == 1 else None
    return {alone or problem.invoice_id: unreadable(problem) for problem in page.unreadable}


def not_found() -> PermanentError:
    return PermanentError("invoice_not_found")


def unreadable(problem: UnreadableInvoice) -> PermanentError:
    return PermanentError("unreadable_invoice", problem.field)
