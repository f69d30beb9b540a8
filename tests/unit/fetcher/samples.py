"""Xero's JSON as a list and a single read really give it, and fakes of what lies around the use cases."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fetcher.arrivals import Arrivals
from fetcher.contacts import ContactDirectory
from fetcher.mapping import contact_cards, invoice_page
from fetcher.online_links import OnlineLinks
from fetcher.organisations import OrganisationDirectory
from fetcher.ports import Clock, ContactPage, Cut, IdsAnswer, InvoicePage, Link
from fetcher.readings import InvoiceReader
from shared.contracts.base import Event
from shared.contracts.invoices import Contact, Organisation
from shared.errors import RetryableError
from unit.fetcher.webhook_records import FakeWebhookRecords

NOW = datetime(2026, 6, 23, 9, 0, tzinfo=UTC)
TENANT = "11111111-1111-4111-8111-111111111111"
INDIA = Organisation(name="Asha Traders", time_zone="Asia/Kolkata", country="IN", base_currency="INR")


def guid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def written(moment: datetime) -> str:
    return f"/Date({round(moment.timestamp() * 1000)}+0000)/"


def invoice_json(number: int, *, contact: int = 1, updated: datetime = NOW, **changes: Any) -> dict[str, Any]:
    """An invoice as a list gives it: its contact is reduced to id and name."""
    return {
        "Type": "ACCREC",
        "InvoiceID": guid(number),
        "InvoiceNumber": f"INV-{number}",
        "AmountDue": 100,
        "AmountPaid": 0,
        "AmountCredited": 0,
        "Total": 100,
        "CurrencyCode": "INR",
        "Status": "AUTHORISED",
        "Date": "/Date(1780272000000+0000)/",
        "DueDate": "/Date(1781481600000+0000)/",
        "UpdatedDateUTC": written(updated),
        "Contact": {"ContactID": guid(9000 + contact), "Name": f"Contact {contact}", "Phones": [], "Addresses": []},
        **changes,
    }


def contact_json(contact: int, number: str = "9876543210", **changes: Any) -> dict[str, Any]:
    """A contact in full."""
    return {
        "ContactID": guid(9000 + contact),
        "ContactStatus": "ACTIVE",
        "Name": f"Contact {contact}",
        "Addresses": [],
        "Phones": [
            {"PhoneType": kind, "PhoneCountryCode": "", "PhoneAreaCode": "", "PhoneNumber": given}
            for kind, given in (("DDI", ""), ("DEFAULT", ""), ("FAX", "9000000000"), ("MOBILE", number))
        ],
        **changes,
    }


def page_of(
    invoices: Sequence[Mapping[str, Any]],
    *,
    single: bool = False,
    pages: int | None = 1,
    items: int | None = None,
    server_time: datetime | None = NOW,
    read_at: datetime = NOW,
) -> InvoicePage:
    envelope: dict[str, Any] = {"Invoices": list(invoices)}
    if pages is not None:
        envelope["pagination"] = {"page": 1, "pageSize": 1000, "pageCount": pages, "itemCount": items or len(invoices)}
    if server_time is not None:
        envelope["DateTimeUTC"] = written(server_time)
    return invoice_page(envelope, read_at, single=single)


class FakeXero:
    """Books that answer as Xero does, and remember what they were asked."""

    def __init__(self, invoices: Sequence[dict[str, Any]] = (), contacts: Sequence[dict[str, Any]] = ()) -> None:
        self.clock: Clock = lambda: NOW
        self.invoices_by_id = {raw["InvoiceID"]: raw for raw in invoices}
        self.contacts_by_id = {raw["ContactID"]: raw for raw in contacts}
        self.invoice_calls: list[tuple[str, ...]] = []
        self.contact_calls: list[tuple[str, ...]] = []
        self.organisation_calls = 0
        self.longest_question = self.longest_contact_question = 50
        self.lists: list[InvoicePage] = []
        self.list_calls: list[tuple[date | datetime, int]] = []
        self.failures: list[Exception] = []
        self.poison: set[str] = set()
        """Ids of contacts that Xero fails on."""
        self.poisoned: Exception = RetryableError("xero_unavailable")
        self.pages: dict[str, str | Exception | None] = {}
        """Invoice id → the address of its page, None for no page, or what Xero fails with."""
        self.link_calls: list[str] = []
        self.answering = asyncio.Event()
        self.answering.set()

    async def online_address(self, tenant_id: str, invoice_id: str) -> str | None:
        self.link_calls.append(invoice_id)
        await self.answering.wait()
        # Long enough for whoever does not wait for a turn to get in between.
        await asyncio.sleep(0)
        page = self.pages.get(invoice_id, f"https://in.xero.com/{invoice_id}")
        if isinstance(page, Exception):
            raise page
        return page

    async def invoices(self, tenant_id: str, cut: Cut) -> IdsAnswer:
        if self.failures:
            raise self.failures.pop(0)
        asked = tuple(cut())
        self.invoice_calls.append(asked)
        if len(asked) == 1:
            raw = self.invoices_by_id.get(asked[0])
            if raw is None:
                return IdsAnswer(asked, None)
            full = self.contacts_by_id.get(raw["Contact"]["ContactID"], raw["Contact"])
            return IdsAnswer(asked, page_of([{**raw, "Contact": full}], single=True, read_at=self.clock()))
        if len(asked) > self.longest_question:
            return IdsAnswer(asked, None)
        found = [self.invoices_by_id[key] for key in asked if key in self.invoices_by_id]
        return IdsAnswer(asked, page_of(found, read_at=self.clock()))

    async def contacts(self, tenant_id: str, ids: Sequence[str]) -> ContactPage | None:
        self.contact_calls.append(tuple(ids))
        if self.poison & set(ids):
            raise self.poisoned
        if len(ids) > min(self.longest_question, self.longest_contact_question):
            return None
        found = [self.contacts_by_id[key] for key in ids if key in self.contacts_by_id]
        return ContactPage(contact_cards({"Contacts": found}), self.clock())

    async def organisation(self, tenant_id: str) -> Organisation:
        self.organisation_calls += 1
        return INDIA

    async def receivables(self, tenant_id: str, due_before: date, page: int) -> InvoicePage:
        self.list_calls.append((due_before, page))
        return self.lists.pop(0)

    async def changed(self, tenant_id: str, since: datetime, page: int) -> InvoicePage:
        self.list_calls.append((since, page))
        return self.lists.pop(0)


class FakeContactCache:
    def __init__(self) -> None:
        self.kept: dict[str, Contact] = {}
        self.moments: dict[str, datetime] = {}

    async def find(self, tenant_id: str, ids: Sequence[str]) -> Mapping[str, Contact]:
        return {key: self.kept[key] for key in ids if key in self.kept}

    async def keep(self, tenant_id: str, contacts: Sequence[Contact], read_at: datetime) -> None:
        for contact in contacts:
            key = contact.contact_id
            if key not in self.moments or self.moments[key] < read_at:
                self.kept[key], self.moments[key] = contact, read_at

    async def drop(self, tenant_id: str, contact_id: str, at: datetime) -> None:
        self.kept.pop(contact_id, None)
        self.moments[contact_id] = at


class FakeLinkCache:
    def __init__(self) -> None:
        self.kept: dict[str, Link] = {}

    async def find(self, tenant_id: str, ids: Sequence[str]) -> Mapping[str, Link]:
        return {key: self.kept[key] for key in ids if key in self.kept}

    async def keep(self, tenant_id: str, invoice_id: str, link: Link) -> None:
        self.kept[invoice_id] = link


class FakeOrganisationCache:
    def __init__(self) -> None:
        self.kept: dict[str, Organisation] = {}

    async def find(self, tenant_id: str) -> Organisation | None:
        return self.kept.get(tenant_id)

    async def keep(self, tenant_id: str, organisation: Organisation) -> None:
        self.kept[tenant_id] = organisation


class FakeCursors:
    def __init__(self, since: datetime | None = None) -> None:
        self.kept: list[datetime] = [] if since is None else [since]

    async def find(self, tenant_id: str) -> datetime | None:
        return self.kept[-1] if self.kept else None

    async def keep(self, tenant_id: str, since: datetime) -> None:
        self.kept.append(since)


class SteppingClock:
    """Stands still until told to move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Rig:
    """The pure inside of the fetcher around fake books."""

    def __init__(self, xero: FakeXero) -> None:
        self.xero = xero
        self.clock = SteppingClock()
        xero.clock = self.clock
        self.cache = FakeContactCache()
        self.link_cache = FakeLinkCache()
        self.link_outcomes: list[str] = []
        self.links = OnlineLinks(xero, self.link_cache, self.link_outcomes.append)
        self.announced: list[Event] = []
        self.records = FakeWebhookRecords()
        self.found_by_webhook: list[int] = []
        self.arrivals = Arrivals(self.records, self.found_by_webhook.append)
        self.contacts = ContactDirectory(xero, self.cache, self.clock)
        self.organisations = OrganisationDirectory(xero, FakeOrganisationCache(), self._announce, self.clock)
        self.reader = InvoiceReader(xero, self.contacts, self.organisations)

    async def _announce(self, event: Event) -> None:
        self.announced.append(event)


async def gather_into(seen: list[Any], events: AsyncGenerator[Any]) -> None:
    """Keep what came before an error, too."""
    async for event in events:
        seen.append(event)  # noqa: PERF401 - extend would lose what came before an error
