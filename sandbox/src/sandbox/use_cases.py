"""What a bookkeeper, a customer and Meta can do; the use cases behind the admin API and the page."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sandbox.book import NUMBERING, TOTAL, Entry, demo_book
from sandbox.books import BookError, Contact, Invoice, Payment, Phone, new_id
from sandbox.delivery import Answer
from sandbox.orders import (
    BookOrder,
    ContactChange,
    InboundOrder,
    NewContact,
    NewInvoice,
    NewPhone,
    PaymentOrder,
    StatusOrder,
)
from sandbox.summary import invoice_row
from sandbox.whatsapp.outbox import Message
from sandbox.whatsapp.payloads import Item
from sandbox.world import World
from sandbox.xero.payloads import event


def announce(world: World, invoice: Invoice, kind: str = "UPDATE") -> None:
    """Queue an INVOICE event."""
    world.xero_webhooks.queue(event(invoice.tenant_id, invoice.invoice_id, world.clock(), kind=kind))


def issue_invoice(world: World, order: NewInvoice, *, tell: bool = True) -> Invoice:
    """A new invoice of a known contact; announced when `tell` is set. Raises KeyError and BookError."""
    invoice = _open(world, order)
    if tell:
        announce(world, invoice, "CREATE")
    return invoice


def change_contact(world: World, contact: Contact, change: ContactChange, *, tell: bool = True) -> None:
    """Change the fields given; queues a CONTACT event when `tell` is set."""
    for name in change.model_fields_set - {"phone", "phones"}:
        setattr(contact, name, getattr(change, name))
    if change.phones is not None:
        contact.phones = [Phone(**phone.model_dump()) for phone in change.phones]
    if change.phone is not None:
        contact.phones = [Phone("MOBILE", change.phone)]
    world.books.touch(contact)
    if tell:
        world.xero_webhooks.queue(event(contact.tenant_id, contact.contact_id, world.clock(), category="CONTACT"))


def act_on_invoice(
    world: World, invoice_id: str, action: str, order: PaymentOrder | None = None, *, tell: bool = True
) -> Invoice:
    """Pay, void or authorise; without an order all that is due is paid today. Raises KeyError and BookError."""
    invoice = world.books.find(invoice_id)
    match action:
        case "pay":
            asked = order or PaymentOrder()
            world.books.pay(invoice, asked.amount, asked.on or world.clock().date())
        case "void":
            world.books.void(invoice)
        case "authorise":
            world.books.authorise(invoice)
        case other:
            raise KeyError(other)
    if tell:
        announce(world, invoice)
    return invoice


def fill_book(world: World, order: BookOrder) -> list[dict[str, Any]]:
    """The demo book, without events; each row tells what should happen."""
    country = world.books.organisations[order.tenant_id].country
    if country not in NUMBERING:
        raise BookError(f"the demo book knows the countries {', '.join(NUMBERING)}")
    return [_book_row(world, order, entry) for entry in demo_book(country, world.books.serial + 1)]


async def give_status(world: World, wamid: str, order: StatusOrder) -> list[Answer]:
    """Give a message its next status and deliver it unless the order says not to; KeyError for an unknown wamid."""
    message = world.outbox.messages[wamid]
    if message.wamid.startswith("SM"):
        code = (order.error or {}).get("code")
        told = range(order.copies if order.deliver else 0)
        return [await world.twilio_webhooks.status(message, order.status, code, forged=order.forged) for _ in told]
    item = world.whatsapp_webhooks.status(message, order.status, order.at or world.clock(), order.error)
    return await _send(world, item, order.copies, forged=order.forged) if order.deliver else []


async def customer_writes(world: World, order: InboundOrder) -> tuple[Message, list[Answer]]:
    """A customer writes or taps a button; delivered now, and again in the background after a failure."""
    if order.provider == "twilio":
        message, answer = await world.twilio_webhooks.inbound(
            order.sender, order.text, order.name, order.context, order.payload, forged=order.forged
        )
        return message, [answer]
    button = None if order.payload is None else {"payload": order.payload, "text": order.text}
    message, item = world.whatsapp_webhooks.inbound(order.sender, order.text, order.name, order.context, button)
    return message, await _send(world, item, order.copies, forged=order.forged)


async def _send(world: World, item: Item, copies: int, *, forged: bool) -> list[Answer]:
    return [await world.whatsapp_webhooks.send([item], forged=forged, retry=not forged) for _ in range(copies)]


def _book_row(world: World, order: BookOrder, entry: Entry) -> dict[str, Any]:
    serial, case, due = world.books.next_serial(), entry.case, entry.due(order.today)
    promised = None if case.promised_in is None else order.today + timedelta(days=case.promised_in)
    contact = open_contact(
        world,
        NewContact(
            tenant_id=order.tenant_id,
            name=f"{case.name.title()} {serial}",
            first_name="Asha",
            status=case.contact_status,
            phones=[NewPhone(**asdict(phone)) for phone in entry.phones],
        ),
    )
    invoice = _open(
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


def open_contact(world: World, order: NewContact) -> Contact:
    """A new contact in the books."""
    phones = [Phone(**phone.model_dump()) for phone in order.phones]
    if order.phone is not None:
        phones.append(Phone("MOBILE", order.phone))
    fields = order.model_dump(exclude={"phone", "phones"})
    contact = Contact(contact_id=new_id(), phones=phones, updated=world.clock(), **fields)
    world.books.contacts[order.tenant_id][contact.contact_id] = contact
    return contact


def _open(world: World, order: NewInvoice) -> Invoice:
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
