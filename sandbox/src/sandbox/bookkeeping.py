"""The admin API for organisations, contacts, invoices and the demo book."""

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from sandbox.admin import admin_routes, body_of
from sandbox.book import NUMBERING, TOTAL, Entry, demo_book
from sandbox.books import ZERO, BookError, Contact, Invoice, Payment, Phone, new_id
from sandbox.orders import (
    BookOrder,
    BulkOrder,
    ContactChange,
    InvoiceChange,
    NewContact,
    NewInvoice,
    NewOrganisation,
    NewPhone,
    PaymentOrder,
)
from sandbox.summary import contact_row, invoice_row, organisation_row
from sandbox.world import World
from sandbox.xero.payloads import event


async def add_organisation(request: Request, world: World) -> Any:
    """`POST /sandbox/organisations`."""
    order = await body_of(request, NewOrganisation)
    return organisation_row(world, world.books.add_organisation(**order.model_dump()))


async def list_organisations(_request: Request, world: World) -> Any:
    """`GET /sandbox/organisations`."""
    return {"organisations": [organisation_row(world, item) for item in world.books.organisations.values()]}


async def add_contact(request: Request, world: World) -> Any:
    """`POST /sandbox/contacts`."""
    return contact_row(_contact(world, await body_of(request, NewContact)))


async def change_contact(request: Request, world: World) -> Any:
    """`PATCH /sandbox/contacts/{id}`: queues a CONTACT event unless `?event=false`."""
    contact = world.books.find_contact(request.path_params["id"])
    change = await body_of(request, ContactChange)
    for name in change.model_fields_set - {"phone", "phones"}:
        setattr(contact, name, getattr(change, name))
    if change.phones is not None:
        contact.phones = [Phone(**phone.model_dump()) for phone in change.phones]
    if change.phone is not None:
        contact.phones = [Phone("MOBILE", change.phone)]
    world.books.touch(contact)
    if request.query_params.get("event") != "false":
        world.xero_webhooks.queue(event(contact.tenant_id, contact.contact_id, world.clock(), category="CONTACT"))
    return contact_row(contact)


async def add_invoice(request: Request, world: World) -> Any:
    """`POST /sandbox/invoices`: queues an INVOICE CREATE event unless `?event=false`."""
    order = await body_of(request, NewInvoice)
    invoice = _invoice(world, order)
    _tell(request, world, invoice, "CREATE")
    return invoice_row(invoice)


async def change_invoice(request: Request, world: World) -> Any:
    """`PATCH /sandbox/invoices/{id}`; a due date moved on a part-paid invoice does not move UpdatedDateUTC."""
    invoice = world.books.find(request.path_params["id"])
    change = await body_of(request, InvoiceChange)
    changes = {name: getattr(change, name) for name in change.model_fields_set}
    if replace(invoice, **changes).due < ZERO:
        raise BookError("paid and credited together are more than the total")
    for name, value in changes.items():
        setattr(invoice, name, value)
    silent = change.model_fields_set <= {"due_date", "sent_to_contact"} and invoice.paid > ZERO
    if not silent:
        world.books.settle(invoice, world.clock().date())
        _tell(request, world, invoice)
    return invoice_row(invoice)


async def act_on_invoice(request: Request, world: World) -> Any:
    """`POST /sandbox/invoices/{id}/pay|void|authorise`: changes it and queues an INVOICE UPDATE event."""
    invoice = world.books.find(request.path_params["id"])
    match request.path_params["action"]:
        case "pay":
            order = await body_of(request, PaymentOrder)
            world.books.pay(invoice, order.amount, order.on or world.clock().date())
        case "void":
            world.books.void(invoice)
        case "authorise":
            world.books.authorise(invoice)
        case other:
            raise KeyError(other)
    _tell(request, world, invoice)
    return invoice_row(invoice)


async def show_invoice(request: Request, world: World) -> Any:
    """`GET /sandbox/invoices/{id}`."""
    return invoice_row(world.books.find(request.path_params["id"]))


async def add_book(request: Request, world: World) -> Any:
    """`POST /sandbox/book`: the demo book, no events; tells for every invoice what should happen."""
    order = await body_of(request, BookOrder)
    country = world.books.organisations[order.tenant_id].country
    if country not in NUMBERING:
        raise BookError(f"the demo book knows the countries {', '.join(NUMBERING)}")
    entries = demo_book(country, world.books.serial + 1)
    return {"invoices": [_book_row(world, order, entry) for entry in entries]}


async def add_bulk(request: Request, world: World) -> Any:
    """`POST /sandbox/bulk`: many like invoices, each of its own contact with a mobile of its own; no events."""
    order = await body_of(request, BulkOrder)
    plan = NUMBERING[world.books.organisations[order.tenant_id].country]
    rows = []
    for _ in range(order.count):
        serial = world.books.next_serial()
        phone = plan.number(serial)
        contact = _contact(world, NewContact(tenant_id=order.tenant_id, name=f"Customer {serial}", phone=phone))
        fields = order.model_dump(exclude={"count"}) | {"contact_id": contact.contact_id, "number": f"INV-{serial:04d}"}
        rows.append(invoice_row(_invoice(world, NewInvoice.model_validate(fields))) | {"phone": phone})
    return {"invoices": rows}


def _book_row(world: World, order: BookOrder, entry: Entry) -> dict[str, Any]:
    serial, case, due = world.books.next_serial(), entry.case, entry.due(order.today)
    promised = None if case.promised_in is None else order.today + timedelta(days=case.promised_in)
    contact = _contact(
        world,
        NewContact(
            tenant_id=order.tenant_id,
            name=f"{case.name.title()} {serial}",
            first_name="Asha",
            status=case.contact_status,
            phones=[NewPhone(**asdict(phone)) for phone in entry.phones],
        ),
    )
    invoice = _invoice(
        world,
        NewInvoice(
            tenant_id=order.tenant_id,
            contact_id=contact.contact_id,
            number=f"INV-{serial:04d}",
            type=case.type,
            status=case.status,
            issue_date=min(due, order.today) - timedelta(days=14),
            due_date=due,
            total=TOTAL,
            paid=case.paid,
            credited=case.credited,
            expected_payment_date=promised,
        ),
    )
    return invoice_row(invoice) | {
        "case": case.name,
        "expect": entry.expect,
        "why": case.why,
        "template": case.template,
        "stage": -case.offset if case.template else None,
        "phone": entry.phone,
        "contact_name": contact.name,
    }


def _contact(world: World, order: NewContact) -> Contact:
    phones = [Phone(**phone.model_dump()) for phone in order.phones]
    if order.phone is not None:
        phones.append(Phone("MOBILE", order.phone))
    fields = order.model_dump(exclude={"phone", "phones"})
    contact = Contact(contact_id=new_id(), phones=phones, updated=world.clock(), **fields)
    world.books.contacts[order.tenant_id][contact.contact_id] = contact
    return contact


def _invoice(world: World, order: NewInvoice) -> Invoice:
    if order.contact_id not in world.books.contacts[order.tenant_id]:
        raise KeyError(order.contact_id)
    organisation = world.books.organisations[order.tenant_id]
    fields = order.model_dump(exclude={"paid"}) | {
        "number": order.number or f"INV-{world.books.next_serial():04d}",
        "currency": order.currency or organisation.currency,
    }
    invoice = Invoice(invoice_id=new_id(), updated=world.clock(), **fields)
    if order.paid + order.credited > order.total:
        raise BookError("paid and credited together are more than the total")
    if order.paid:
        invoice.payments.append(Payment(new_id(), order.issue_date, order.paid))
    if order.status == "PAID":
        if invoice.due:
            invoice.payments.append(Payment(new_id(), order.issue_date, invoice.due))
        invoice.fully_paid_on = order.issue_date
    world.books.invoices[order.tenant_id][invoice.invoice_id] = invoice
    return invoice


def _tell(request: Request, world: World, invoice: Invoice, kind: str = "UPDATE") -> None:
    if request.query_params.get("event") != "false":
        world.xero_webhooks.queue(event(invoice.tenant_id, invoice.invoice_id, world.clock(), kind=kind))


def book_routes() -> list[Route]:
    """The addresses for what an organisation keeps."""
    return admin_routes(
        "/sandbox",
        [
            ("POST", "/organisations", add_organisation),
            ("GET", "/organisations", list_organisations),
            ("POST", "/contacts", add_contact),
            ("PATCH", "/contacts/{id}", change_contact),
            ("POST", "/invoices", add_invoice),
            ("GET", "/invoices/{id}", show_invoice),
            ("PATCH", "/invoices/{id}", change_invoice),
            ("POST", "/invoices/{id}/{action}", act_on_invoice),
            ("POST", "/book", add_book),
            ("POST", "/bulk", add_bulk),
        ],
    )
