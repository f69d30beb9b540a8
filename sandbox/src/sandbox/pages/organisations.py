"""Draws the organisations: who is connected, their invoices with buttons, and the form to issue one."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape

from sandbox.books import Contact, Invoice, Organisation
from sandbox.pages.countries import COUNTRIES
from sandbox.pages.elements import button, hidden, pill

LATEST_INVOICES = 60
LATEST_CONTACTS = 200


def organisation_html(
    item: Organisation, contacts: Mapping[str, Contact], invoices: Sequence[Invoice], *, connected: bool
) -> str:
    """One organisation's card, its newest invoice first."""
    tenant = item.tenant_id
    country = COUNTRIES[item.country].name if item.country in COUNTRIES else item.country
    link = pill("connected", "good") if connected else pill("not connected", "faint")
    return (
        f'<article class="organisation"><header><h3>{escape(item.name)}</h3>{link}'
        f'<span class="grow"></span>{button("book", "Fill the demo book", tenant_id=tenant)}</header>'
        f'<p class="facts">{escape(country)} &middot; {escape(item.currency)} &middot; '
        f'tenant <code class="copy" title="Click to select">{escape(tenant)}</code></p>'
        f"{_table(item, invoices, contacts)}{_issue(item, contacts)}</article>"
    )


def _table(item: Organisation, invoices: Sequence[Invoice], contacts: Mapping[str, Contact]) -> str:
    if not invoices:
        return '<p class="empty">No invoices yet.</p>'
    shown = list(reversed(invoices))[:LATEST_INVOICES]
    more = len(invoices) - len(shown)
    rows = "".join(_row(invoice, contacts[invoice.contact_id], item.currency) for invoice in shown)
    rest = f'<p class="empty">and {more} older invoices</p>' if more else ""
    return (
        '<div class="scroll"><table><thead><tr><th>Number</th><th>Contact</th>'
        f'<th class="money">Owed, {escape(item.currency)}</th><th>Due</th>'
        f"<th>Status</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>{rest}"
    )


def _row(invoice: Invoice, contact: Contact, usual: str) -> str:
    currency = "" if invoice.currency == usual else f" <small>{escape(invoice.currency)}</small>"
    kind = " " + pill("bill", "faint") if invoice.type == "ACCPAY" else ""
    away = "" if contact.status == "ACTIVE" else " " + pill(contact.status.lower(), "faint")
    due = f"{invoice.due_date:%-d %b %Y}" if invoice.due_date else "none"
    styles = {"AUTHORISED": "open", "PAID": "good", "VOIDED": "bad", "DELETED": "bad"}
    state = pill(invoice.status.lower(), styles.get(invoice.status, "faint"))
    buttons = "".join(
        button(act, label, style, invoice_id=invoice.invoice_id) for act, label, style in _possible(invoice)
    )
    return (
        f'<tr><td class="keep">{escape(invoice.number)}</td><td>{escape(contact.name)}{kind}{away}</td>'
        f'<td class="money">{_money(invoice.due)}{currency}</td>'
        f'<td class="keep">{due}</td><td class="keep">{state}</td>'
        f'<td class="acts">{buttons}</td></tr>'
    )


def _possible(invoice: Invoice) -> list[tuple[str, str, str]]:
    draft, owed = invoice.status in {"DRAFT", "SUBMITTED"}, invoice.status == "AUTHORISED"
    found = []
    if owed and invoice.due > 0:
        found.append(("pay", "Pay", "main"))
    if draft:
        found.append(("authorise", "Authorise", "main"))
    if (owed or draft) and not invoice.payments:
        found.append(("void", "Void", ""))
    return found


def _issue(item: Organisation, contacts: Mapping[str, Contact]) -> str:
    tenant = escape(item.tenant_id)
    names = sorted({contact.name for contact in list(contacts.values())[-LATEST_CONTACTS:]})
    options = "".join(f"<option>{escape(name)}</option>" for name in names)
    return (
        f'<form class="fields" method="post" action="/page/invoice"><h4>Issue an invoice</h4>'
        f"{hidden('tenant_id', item.tenant_id)}"
        f'<label>Contact<input name="contact" required maxlength="255" list="names-{tenant}" '
        f'placeholder="Asha Traders"></label>'
        f'<label>Mobile<input name="phone" type="tel" maxlength="50" placeholder="98765 43210"></label>'
        f'<label class="short">Amount, {escape(item.currency)}'
        f'<input name="total" type="number" min="0.01" step="0.01" value="1000.00" required></label>'
        f'<label class="short">Due in days<input name="days" type="number" value="0" min="-3650" max="3650" required>'
        f'</label><button class="main">Issue</button>'
        f'<datalist id="names-{tenant}">{options}</datalist></form>'
    )


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"
