"""What a message says: its template, language and parameters, from a snapshot; the same input gives the same text."""

from datetime import date
from decimal import Decimal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency

from notifier.catalogue import Catalogue
from notifier.model import Snapshot
from notifier.ports import TemplateMessage
from shared.contracts.invoices import Contact
from shared.contracts.messages import MessageKind
from shared.online_links import safe_link
from shared.policy import TenantPolicy

LONGEST_TEXT = 80
ALERT_TEMPLATES = {MessageKind.ISSUED: "invoice_issued", MessageKind.PAID: "invoice_paid"}
_NOTHING = "-"


def render(
    snapshot: Snapshot, kind: MessageKind, stage: int | None, rules: TenantPolicy, catalogue: Catalogue
) -> TemplateMessage | None:
    """The message, or None when the policy no longer has the stage or the contact no number.

    Where no link is known that may be shown, it takes the form without.
    """
    name = template_name(kind, stage, rules)
    if name is None or snapshot.contact.phone is None:
        return None
    link = safe_link(snapshot.invoice.online_url)
    language = language_of(name, snapshot.contact, rules, catalogue)
    name = (linked_template(kind, stage, snapshot.contact, rules, catalogue) if link else None) or name
    texts = invoice_texts(snapshot, kind, locale_of(language, snapshot.organisation.country), link)
    return TemplateMessage(
        to=snapshot.contact.phone,
        template=name,
        language=language,
        parameters=tuple((parameter, texts[parameter]) for parameter in catalogue.parameters(name)),
    )


def linked_template(
    kind: MessageKind, stage: int | None, contact: Contact, rules: TenantPolicy, catalogue: Catalogue
) -> str | None:
    """The form of the message that shows a link; None when the policy wants none or there is no such form."""
    name = template_name(kind, stage, rules)
    return linked_form(name, contact, rules, catalogue) if name else None


def linked_form(name: str, contact: Contact, rules: TenantPolicy, catalogue: Catalogue) -> str | None:
    """The form of a template that shows a link; None when the policy wants none or there is no such form."""
    return catalogue.with_link(name, language_of(name, contact, rules, catalogue)) if rules.online_link else None


def language_of(template: str, contact: Contact, rules: TenantPolicy, catalogue: Catalogue) -> str:
    """The contact's language where the template has it, since WhatsApp refuses any other, else the organisation's."""
    wanted = rules.language_of(contact.contact_id, contact.name)
    return wanted if catalogue.body(template, wanted) is not None else rules.language


def template_name(kind: MessageKind, stage: int | None, rules: TenantPolicy) -> str | None:
    """The form of the message without a link; None when the policy no longer has the stage."""
    if kind in ALERT_TEMPLATES:
        return ALERT_TEMPLATES[kind]
    return next((candidate.template for candidate in rules.stages if candidate.offset_days == stage), None)


def invoice_texts(snapshot: Snapshot, kind: MessageKind, locale: Locale, link: str | None) -> dict[str, str]:
    """All that can be said of one invoice, by the parameter that says it."""
    invoice = snapshot.invoice
    amount = invoice.amount_paid if kind is MessageKind.PAID else invoice.amount_due
    return {
        "contact_name": clean(snapshot.contact.name),
        "organisation_name": clean(snapshot.organisation.name),
        "invoice_number": clean(invoice.number),
        "amount": money(amount, invoice.currency, locale),
        "due_date": day(invoice.due_on, locale),
        "link": link or _NOTHING,
    }


def clean(text: str) -> str:
    """The text as WhatsApp takes it: one line, single spaces, never empty, not too long."""
    printable = "".join(letter if letter.isprintable() or letter in "\u200c\u200d" else " " for letter in text)
    line = " ".join(printable.split())
    return (line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1].rstrip() + "…") or _NOTHING


def money(amount: Decimal, currency: str, locale: Locale) -> str:
    """``INR 12,500.00``: the code, the locale's grouping, the currency's own decimals."""
    pattern = locale.decimal_formats[None].pattern
    return f"{currency} {format_currency(amount, currency, format=pattern, locale=locale)}"


def day(date_: date | None, locale: Locale) -> str:
    """``23 Jun 2026`` in the locale's words."""
    return _NOTHING if date_ is None else format_date(date_, "d MMM y", locale=locale)


def locale_of(language: str, country: str) -> Locale:
    """The language as written in the country, since that is how amounts are grouped there."""
    for name in (f"{language}_{country}", language):
        try:
            return Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse("en")
