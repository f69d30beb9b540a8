"""The admin API for state: settings, journal, faults, organisations, contacts, invoices and the demo book."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.book import NUMBERING, demo_book
from sandbox.books import ZERO, BookError, Contact, Invoice, Payment, Phone, new_id
from sandbox.faults import Fault
from sandbox.orders import (
    BookOrder,
    ContactChange,
    InvoiceChange,
    NewContact,
    NewInvoice,
    NewOrganisation,
    PaymentOrder,
)
from sandbox.summary import contact_row, invoice_row, organisation_row, summary_of
from sandbox.world import World, world_of
from sandbox.xero.payloads import event

Handler = Callable[[Request, World], Awaitable[Any]]
Model = TypeVar("Model", bound=BaseModel)


def admin(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that answers JSON: 400 with the reason for a bad body, 404 for an unknown id."""

    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await handler(request, world_of(request)))
        except ValidationError as error:
            return JSONResponse({"error": json.loads(error.json(include_url=False, include_input=False))}, 400)
        except (BookError, json.JSONDecodeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        except KeyError as error:
            return JSONResponse({"error": f"unknown: {error}"}, 404)

    return endpoint


async def body_of(request: Request, model: type[Model]) -> Model:
    """The request's JSON as `model`; an empty body counts as `{}`."""
    return model.model_validate_json(await request.body() or b"{}")


async def read_settings(_request: Request, world: World) -> Any:
    """`GET /sandbox/settings`; secrets are masked."""
    return world.settings.model_dump(mode="json")


async def change_settings(request: Request, world: World) -> Any:
    """`PUT /sandbox/settings`: only the fields given change."""
    changes = TypeAdapter(dict[str, Any]).validate_json(await request.body())
    before, world.settings = world.settings, world.settings.patched(changes)
    if before.webhook_url != world.settings.webhook_url:
        world.xero_webhooks.url_changed()
    if "seed" in changes:
        world.random.seed(world.settings.seed)
    world.xero_webhooks.wake()
    return world.settings.model_dump(mode="json")


async def reset(request: Request, world: World) -> Any:
    """`POST /sandbox/reset`: forget everything; settings too unless `?settings=keep`."""
    world.reset(world.settings if request.query_params.get("settings") == "keep" else None)
    return {"ok": True}


async def journal(request: Request, world: World) -> Any:
    """`GET /sandbox/journal?kind=&since=&limit=`."""
    asked = request.query_params
    limit = int(asked["limit"]) if "limit" in asked else None
    return {"entries": world.journal.select(asked.get("kind"), int(asked.get("since", "0")), limit)}


async def clear_journal(_request: Request, world: World) -> Any:
    """`DELETE /sandbox/journal`."""
    world.journal.clear()
    return {"ok": True}


async def summary(_request: Request, world: World) -> Any:
    """`GET /sandbox/summary`."""
    return summary_of(world)


async def set_faults(request: Request, world: World) -> Any:
    """`PUT` replaces all faults, `POST` adds one, `DELETE` removes all."""
    if request.method == "POST":
        world.faults.add(await body_of(request, Fault))
    else:
        world.faults.armed.clear()
    if request.method == "PUT":
        for fault in TypeAdapter(list[Fault]).validate_json(await request.body()):
            world.faults.add(fault)
    return {"faults": [{**armed.fault.model_dump(), "struck": armed.struck} for armed in world.faults.armed]}


async def add_organisation(request: Request, world: World) -> Any:
    """`POST /sandbox/organisations`."""
    order = await body_of(request, NewOrganisation)
    return organisation_row(world, world.books.add_organisation(**order.model_dump()))


async def list_organisations(_request: Request, world: World) -> Any:
    """`GET /sandbox/organisations`."""
    return {"organisations": [organisation_row(world, item) for item in world.books.organisations.values()]}


async def add_contact(request: Request, world: World) -> Any:
    """`POST /sandbox/contacts`."""
    order = await body_of(request, NewContact)
    phones = [Phone(**phone.model_dump()) for phone in order.phones]
    if order.phone is not None:
        phones.append(Phone("MOBILE", order.phone))
    contact = Contact(
        new_id(), order.tenant_id, order.name, order.first_name, order.last_name, order.email, order.status, phones,
        order.address_country, world.clock(), order.merged_to,
    )  # fmt: skip
    world.books.contacts[order.tenant_id][contact.contact_id] = contact
    return contact_row(contact)


async def change_contact(request: Request, world: World) -> Any:
    """`PATCH /sandbox/contacts/{id}`: queues a CONTACT event unless `?event=false`."""
    contact = next(
        book[request.path_params["id"]] for book in world.books.contacts.values() if request.path_params["id"] in book
    )
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
    for name in change.model_fields_set:
        setattr(invoice, name, getattr(change, name))
    silent = change.model_fields_set <= {"due_date", "sent_to_contact"} and invoice.paid > ZERO
    if not silent:
        world.books.touch(invoice)
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
    organisation = world.books.organisations[order.tenant_id]
    if organisation.country not in NUMBERING:
        raise BookError(f"the demo book knows the countries {', '.join(NUMBERING)}")
    entries = demo_book(organisation.country, world.books.serial + 1)
    rows = []
    for entry in entries:
        serial, case = world.books.next_serial(), entry.case
        contact = Contact(
            new_id(), order.tenant_id, f"{case.name.title()} {serial}", "Asha", "Rao", "", case.contact_status,
            [Phone(**asdict(phone)) for phone in entry.phones], "", world.clock(),
        )  # fmt: skip
        world.books.contacts[order.tenant_id][contact.contact_id] = contact
        due = entry.due(order.today)
        invoice = _invoice(
            world,
            NewInvoice.model_validate(
                {
                    "tenant_id": order.tenant_id,
                    "contact_id": contact.contact_id,
                    "number": f"INV-{serial:04d}",
                    "type": case.type,
                    "status": case.status,
                    "issue_date": min(due, order.today).replace(day=1),
                    "due_date": due,
                    "total": "12500.00",
                    "paid": case.paid,
                    "credited": case.credited,
                    "expected_payment_date": None
                    if case.promised_in is None
                    else order.today.fromordinal(order.today.toordinal() + case.promised_in),
                }
            ),
        )
        rows.append(
            invoice_row(invoice)
            | {"case": case.name, "expect": entry.expect, "why": case.why, "template": case.template}
            | {"stage": -case.offset if case.template else None, "phone": entry.phone, "contact_name": contact.name}
        )
    return {"invoices": rows}


def _invoice(world: World, order: NewInvoice) -> Invoice:
    if order.contact_id not in world.books.contacts[order.tenant_id]:
        raise KeyError(order.contact_id)
    organisation = world.books.organisations[order.tenant_id]
    invoice = Invoice(
        new_id(), order.tenant_id, order.contact_id, order.number or f"INV-{world.books.next_serial():04d}",
        order.type, order.status, order.issue_date, order.due_date, order.currency or organisation.currency,
        order.total, world.clock(), order.credited, order.reference, order.expected_payment_date,
        order.sent_to_contact,
    )  # fmt: skip
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


def state_routes() -> list[Route]:
    """The admin addresses for state."""
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/settings", read_settings),
        ("PUT", "/settings", change_settings),
        ("POST", "/reset", reset),
        ("GET", "/journal", journal),
        ("DELETE", "/journal", clear_journal),
        ("GET", "/summary", summary),
        ("PUT POST DELETE GET", "/faults", set_faults),
        ("POST", "/organisations", add_organisation),
        ("GET", "/organisations", list_organisations),
        ("POST", "/contacts", add_contact),
        ("PATCH", "/contacts/{id}", change_contact),
        ("POST", "/invoices", add_invoice),
        ("GET", "/invoices/{id}", show_invoice),
        ("PATCH", "/invoices/{id}", change_invoice),
        ("POST", "/invoices/{id}/{action}", act_on_invoice),
        ("POST", "/book", add_book),
    ]
    return [Route(f"/sandbox{path}", admin(handler), methods=methods.split()) for methods, path, handler in table]
