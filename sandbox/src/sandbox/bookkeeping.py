"""The admin API for organisations, contacts, invoices and the demo book."""

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from sandbox import use_cases
from sandbox.admin import admin_routes, body_of
from sandbox.book import NUMBERING
from sandbox.books import ZERO, BookError
from sandbox.orders import (
    BookOrder,
    BulkOrder,
    ContactChange,
    InvoiceChange,
    NewContact,
    NewInvoice,
    NewOrganisation,
    PaymentOrder,
)
from sandbox.summary import contact_row, invoice_row, organisation_row
from sandbox.world import World


async def add_organisation(request: Request, world: World) -> Any:
    """`POST /sandbox/organisations`."""
    order = await body_of(request, NewOrganisation)
    return organisation_row(world, world.books.add_organisation(**order.model_dump()))


async def list_organisations(_request: Request, world: World) -> Any:
    """`GET /sandbox/organisations`."""
    return {"organisations": [organisation_row(world, item) for item in world.books.organisations.values()]}


async def add_contact(request: Request, world: World) -> Any:
    """`POST /sandbox/contacts`."""
    return contact_row(use_cases.open_contact(world, await body_of(request, NewContact)))


async def change_contact(request: Request, world: World) -> Any:
    """`PATCH /sandbox/contacts/{id}`: queues a CONTACT event unless `?event=false`."""
    contact = world.books.find_contact(request.path_params["id"])
    change = await body_of(request, ContactChange)
    use_cases.change_contact(world, contact, change, tell=_tells(request))
    return contact_row(contact)


async def add_invoice(request: Request, world: World) -> Any:
    """`POST /sandbox/invoices`: queues an INVOICE CREATE event unless `?event=false`."""
    order = await body_of(request, NewInvoice)
    return invoice_row(use_cases.issue_invoice(world, order, tell=_tells(request)))


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
        if _tells(request):
            use_cases.announce(world, invoice)
    return invoice_row(invoice)


async def act_on_invoice(request: Request, world: World) -> Any:
    """`POST /sandbox/invoices/{id}/pay|void|authorise`: changes it and queues an INVOICE UPDATE event."""
    invoice_id, action = request.path_params["id"], request.path_params["action"]
    order = await body_of(request, PaymentOrder) if action == "pay" else None
    return invoice_row(use_cases.act_on_invoice(world, invoice_id, action, order, tell=_tells(request)))


async def show_invoice(request: Request, world: World) -> Any:
    """`GET /sandbox/invoices/{id}`."""
    return invoice_row(world.books.find(request.path_params["id"]))


async def add_book(request: Request, world: World) -> Any:
    """`POST /sandbox/book`: the demo book, no events; tells for every invoice what should happen."""
    order = await body_of(request, BookOrder)
    return {"invoices": use_cases.fill_book(world, order)}


async def add_bulk(request: Request, world: World) -> Any:
    """`POST /sandbox/bulk`: many like invoices, each of its own contact with a mobile of its own; no events."""
    order = await body_of(request, BulkOrder)
    plan = NUMBERING[world.books.organisations[order.tenant_id].country]
    rows = []
    for _ in range(order.count):
        serial = world.books.next_serial()
        phone = plan.number(serial)
        fresh = NewContact(tenant_id=order.tenant_id, name=f"Customer {serial}", phone=phone)
        contact = use_cases.open_contact(world, fresh)
        fields = order.model_dump(exclude={"count"}) | {"contact_id": contact.contact_id, "number": f"INV-{serial:04d}"}
        invoice = use_cases.issue_invoice(world, NewInvoice.model_validate(fields), tell=False)
        rows.append(invoice_row(invoice) | {"phone": phone})
    return {"invoices": rows}


def _tells(request: Request) -> bool:
    return request.query_params.get("event") != "false"


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
