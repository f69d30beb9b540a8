"""What the fetcher's use cases need from outside, and the values that cross that line."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from fetcher.silence import Silence
from fetcher.versions import Account, Heard, Version
from shared.contracts.base import Event
from shared.contracts.invoices import Contact, ContactGroup, Invoice, Organisation

Clock = Callable[[], datetime]
Cut = Callable[[], Sequence[str]]
"""Says which ids to ask for, at the last moment: when the permit for the call has been granted."""


@dataclass(frozen=True)
class Phone:
    """One of a Xero contact's numbers: four fields of free text. ``type`` is upper case."""

    type: str
    country: str
    area: str
    number: str


@dataclass(frozen=True)
class ContactCard:
    """A contact as Xero has it. ``country`` is ISO 3166 alpha-2 when the address says one we know.

    ``groups`` is None where the answer may have left them out.
    """

    contact_id: str
    name: str
    status: str
    phones: tuple[Phone, ...]
    country: str | None
    groups: tuple[ContactGroup, ...] | None = None


@dataclass(frozen=True)
class ContactPage:
    """One answer of Xero's about contacts. ``read_at`` is from before the call."""

    cards: tuple[ContactCard, ...]
    read_at: datetime


@dataclass(frozen=True)
class InvoiceRow:
    """An invoice with what it says of its contact; ``card`` is None where Xero left the numbers out."""

    invoice: Invoice
    contact_id: str
    contact_name: str
    card: ContactCard | None


@dataclass(frozen=True)
class UnreadableInvoice:
    """An invoice whose ``field`` is missing or not what it should be."""

    invoice_id: str
    field: str


@dataclass(frozen=True)
class InvoicePage:
    """One answer of Xero's. ``read_at`` is from before the call, ``server_time`` from Xero's clock.

    ``page_count`` and ``item_count`` are None where Xero does not tell.
    """

    rows: tuple[InvoiceRow, ...]
    unreadable: tuple[UnreadableInvoice, ...]
    read_at: datetime
    server_time: datetime | None
    page_count: int | None
    item_count: int | None

    @property
    def length(self) -> int:
        return len(self.rows) + len(self.unreadable)


@dataclass(frozen=True)
class IdsAnswer:
    """What came of asking for ``asked``; ``page`` is None when Xero answered "not found" to the whole question."""

    asked: tuple[str, ...]
    page: InvoicePage | None


@dataclass(frozen=True)
class Link:
    """Where a customer can see an invoice, or else a word that says why there is no such address: one of the two."""

    url: str | None = None
    reason: str | None = None


class XeroInvoices(Protocol):
    async def invoices(self, tenant_id: str, cut: Cut) -> IdsAnswer:
        """Read the cut's one to fifty invoices in one call."""
        ...

    async def receivables(self, tenant_id: str, due_before: date, page: int) -> InvoicePage:
        """Unpaid sales invoices due before that day, in a stable order, from page 1."""
        ...

    async def changed(self, tenant_id: str, since: datetime, page: int) -> InvoicePage:
        """Sales invoices changed since then, the longest unchanged first, from page 1."""
        ...


class XeroContacts(Protocol):
    async def contacts(self, tenant_id: str, ids: Sequence[str]) -> ContactPage | None:
        """Up to fifty contacts with their numbers; None for "not found"."""
        ...


class XeroOrganisations(Protocol):
    async def organisation(self, tenant_id: str) -> Organisation: ...


class XeroLinks(Protocol):
    async def online_address(self, tenant_id: str, invoice_id: str) -> str | None:
        """One invoice's page as Xero writes its address, one call each; None where Xero offers none."""
        ...


class XeroDocuments(Protocol):
    async def pdf(self, tenant_id: str, invoice: str) -> bytes | None:
        """The invoice of that id or number as a PDF; None for "not found"."""
        ...


class LinkCache(Protocol):
    async def find(self, tenant_id: str, ids: Sequence[str]) -> Mapping[str, Link]: ...

    async def keep(self, tenant_id: str, invoice_id: str, link: Link) -> None: ...


class ContactCache(Protocol):
    async def find(self, tenant_id: str, ids: Sequence[str]) -> Mapping[str, Contact]: ...

    async def keep(self, tenant_id: str, contacts: Sequence[Contact], read_at: datetime) -> None:
        """Kept only where what is kept was read earlier, and the contact was not dropped since ``read_at``."""
        ...

    async def drop(self, tenant_id: str, contact_id: str, at: datetime) -> None: ...


class OrganisationCache(Protocol):
    async def find(self, tenant_id: str) -> Organisation | None: ...

    async def keep(self, tenant_id: str, organisation: Organisation) -> None: ...


class Cursors(Protocol):
    async def find(self, tenant_id: str) -> datetime | None: ...

    async def keep(self, tenant_id: str, since: datetime) -> None: ...


class ServedScans(Protocol):
    """Which moments' scans have ended."""

    async def knows(self, moment: str) -> bool: ...

    async def keep(self, moment: str) -> None: ...


class WebhookRecords(Protocol):
    """What webhooks led to and what polls alone found. It may be lost at any moment, which costs precision alone."""

    async def note(self, tenant_id: str, told: Mapping[str, datetime], read: Sequence[Version]) -> int:
        """Webhooks told of these invoices then, and led to these versions; how many of the versions are new."""
        ...

    async def heard(self, tenant_id: str, versions: Sequence[Version]) -> Heard:
        """What is known of these versions, all the tenant's."""
        ...

    async def hear(self, at: datetime) -> None:
        """A webhook of some tenant came then."""
        ...

    async def heard_at(self) -> datetime | None: ...

    async def account(self, tenant_id: str) -> Account | None: ...

    async def keep_account(self, tenant_id: str, account: Account) -> None: ...

    async def suspect(self, versions: Sequence[Version], found_at: datetime) -> None:
        """Keep those that are not suspected or missed already."""
        ...

    async def suspects(self, before: datetime, most: int) -> Sequence[Version]: ...

    async def settle(self, suspects: Sequence[Version], lost: Sequence[Version]) -> int:
        """They are suspects no more, and the lost ones are missed; how many of these no other replica had settled."""
        ...

    async def missed(self) -> Sequence[Version]:
        """What polls alone found in the last week, the oldest change first."""
        ...

    async def silence(self) -> Silence | None: ...

    async def may_announce(self) -> bool:
        """True for one replica a minute."""
        ...

    async def begin_silence(self, silence: Silence) -> None: ...

    async def end_silence(self) -> bool:
        """True for the one replica that ended it."""
        ...


Announce = Callable[[Event], Awaitable[None]]
Contacts = Mapping[str, Contact]
