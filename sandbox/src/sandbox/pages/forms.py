"""What the page's buttons and forms do; each takes the form's fields and answers with a sentence to show."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, Field

from sandbox import use_cases
from sandbox.books import BookError, Contact
from sandbox.delivery import Answer
from sandbox.orders import (
    BookOrder,
    ContactChange,
    InboundOrder,
    NewContact,
    NewInvoice,
    NewOrganisation,
    StatusOrder,
)
from sandbox.pages.countries import COUNTRIES, local_day, same_number
from sandbox.world import World

Fields = Mapping[str, str]
Act = Callable[[World, Fields], Awaitable[str]]


class Terms(BaseModel):
    """What the invoice form asks beyond the invoice itself."""

    contact: str = Field(min_length=1, max_length=255)
    phone: str = Field("", max_length=50)
    days: int = Field(ge=-3650, le=3650)


async def add_organisation(world: World, fields: Fields) -> str:
    """A new organisation with the time zone and currency of its country."""
    name, country = fields["name"].strip(), fields["country"]
    if not name:
        raise BookError("an organisation needs a name")
    if country not in COUNTRIES:
        raise BookError(f"choose one of the countries {', '.join(COUNTRIES)}")
    usual = COUNTRIES[country]
    order = NewOrganisation(name=name, country=country, timezone=usual.timezone, currency=usual.currency)
    world.books.add_organisation(**order.model_dump())
    return f"{name} is open. Fill its demo book or issue an invoice, then connect it with make connect-link."


async def issue_invoice(world: World, fields: Fields) -> str:
    """A new invoice, due so many days from today; a contact not yet in the books is made."""
    tenant = fields["tenant_id"]
    organisation = world.books.organisations[tenant]
    terms = Terms.model_validate({name: fields[name].strip() for name in ("contact", "phone", "days")})
    today = local_day(world.clock(), organisation.timezone, organisation.country)
    due = today + timedelta(days=terms.days)
    asked: dict[str, Any] = {"tenant_id": tenant, "contact_id": "", "total": fields["total"].strip()}
    order = NewInvoice.model_validate(asked | {"issue_date": min(today, due), "due_date": due})
    contact = _contact(world, tenant, terms)
    invoice = use_cases.issue_invoice(world, order.model_copy(update={"contact_id": contact.contact_id}))
    return f"{invoice.number} to {contact.name} is issued, due {due:%-d %B %Y}."


async def fill_book(world: World, fields: Fields) -> str:
    """The demo book for the organisation's today."""
    organisation = world.books.organisations[fields["tenant_id"]]
    today = local_day(world.clock(), organisation.timezone, organisation.country)
    rows = use_cases.fill_book(world, BookOrder(tenant_id=organisation.tenant_id, today=today))
    wanted = sum(row["expect"] == "remind" for row in rows)
    return f"{len(rows)} invoices are in the book of {organisation.name}; {wanted} of them deserve a message."


async def pay(world: World, fields: Fields) -> str:
    """Receive all that is due."""
    invoice = use_cases.act_on_invoice(world, fields["invoice_id"], "pay")
    return f"{invoice.number} is paid."


async def void(world: World, fields: Fields) -> str:
    """Make the invoice void."""
    invoice = use_cases.act_on_invoice(world, fields["invoice_id"], "void")
    return f"{invoice.number} is void."


async def authorise(world: World, fields: Fields) -> str:
    """Approve a draft."""
    invoice = use_cases.act_on_invoice(world, fields["invoice_id"], "authorise")
    return f"{invoice.number} is authorised."


async def status(world: World, fields: Fields) -> str:
    """Let the customer's phone receive or show a message."""
    order = StatusOrder.model_validate({"status": fields["status"]})
    answers = await use_cases.give_status(world, fields["wamid"], order)
    return f"Status {order.status}: {_heard(answers)}"


async def write(world: World, fields: Fields) -> str:
    """A customer writes back."""
    text = fields["text"].strip()
    if not text:
        raise BookError("an empty message cannot be sent")
    order = InboundOrder.model_validate({"from": fields["from"], "text": text, "name": fields["name"] or "Customer"})
    _message, answers = await use_cases.customer_writes(world, order)
    return f"Message from {order.sender}: {_heard(answers)}"


async def handshake(world: World, _fields: Fields) -> str:
    """Xero's intent to receive."""
    return _verdict("Xero's intent to receive", await world.xero_webhooks.handshake())


async def verify(world: World, _fields: Fields) -> str:
    """Meta's verification of the callback address."""
    return _verdict("Meta's verification", await world.whatsapp_webhooks.verify())


ACTS: Mapping[str, Act] = {
    "organisation": add_organisation,
    "invoice": issue_invoice,
    "book": fill_book,
    "pay": pay,
    "void": void,
    "authorise": authorise,
    "status": status,
    "write": write,
    "handshake": handshake,
    "verify": verify,
}


def _contact(world: World, tenant: str, terms: Terms) -> Contact:
    known = world.books.contacts[tenant].values()
    found = next((row for row in known if row.name.casefold() == terms.contact.casefold()), None)
    if found is None:
        fresh = NewContact(tenant_id=tenant, name=terms.contact, phone=terms.phone or None)
        return use_cases.open_contact(world, fresh)
    if terms.phone and not any(same_number(row.area + row.number, terms.phone) for row in found.phones):
        use_cases.change_contact(world, found, ContactChange(phone=terms.phone))
    return found


def _heard(answers: list[Answer]) -> str:
    answer = answers[-1]
    if answer.status == 200:
        return "the webhook was taken."
    why = f"it answered {answer.status}" if answer.status is not None else str(answer.error)
    return f"the webhook was not taken ({why})."


def _verdict(what: str, result: Mapping[str, Any]) -> str:
    return f"{what}: passed." if result["ok"] else f"{what}: failed. {'; '.join(result['problems'])}."
