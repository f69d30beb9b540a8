"""Turns a batch of invoice ids into invoices with their contacts and organisation."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fetcher.batches import halves
from fetcher.contacts import ContactDirectory
from fetcher.organisations import OrganisationDirectory
from fetcher.ports import Cut, InvoicePage, InvoiceRow, UnreadableInvoice, XeroInvoices
from shared.contracts.invoices import Cause, Contact, Invoice, InvoiceEnrichedV1, Organisation
from shared.errors import PermanentError


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

    async def read(self, tenant_id: str, cut: Cut, *, contacts_anew: bool = False) -> Mapping[str, Reading | Exception]:
        """A reading, or why there is none, for every id of the cut, in one call where Xero allows it.

        With ``contacts_anew`` the contacts are as fresh as the invoices, for one more call where there are several.
        """
        organisation = await self._organisations.of(tenant_id)
        pages = await self._pages(tenant_id, cut)
        answers: dict[str, Reading | Exception] = {}
        for asked, page in pages:
            answers |= {identifier: not_found() for identifier in asked}
            if page is not None:
                answers |= {problem.invoice_id: unreadable(problem) for problem in page.unreadable}
                async for reading in self.complete(tenant_id, organisation, page, contacts_anew=contacts_anew):
                    answers[reading.invoice.invoice_id] = reading
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

    async def _pages(self, tenant_id: str, cut: Cut) -> list[tuple[Sequence[str], InvoicePage | None]]:
        answer = await self._xero.invoices(tenant_id, cut)
        if answer.page is not None or len(answer.asked) == 1:
            return [(answer.asked, answer.page)]
        # Xero says "not found" of a question that is too long, too: no id is blamed before it was asked alone.
        left, right = halves(answer.asked)
        return [*await self._pages(tenant_id, lambda: left), *await self._pages(tenant_id, lambda: right)]


def not_found() -> PermanentError:
    return PermanentError("invoice_not_found")


def unreadable(problem: UnreadableInvoice) -> PermanentError:
    return PermanentError("unreadable_invoice", problem.field)
