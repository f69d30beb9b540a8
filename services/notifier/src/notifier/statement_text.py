"""What a statement says: how many invoices, how much in each currency, and since when the oldest is due."""

from collections.abc import Sequence
from decimal import Decimal

from babel import Locale

from notifier.catalogue import Catalogue
from notifier.gathering import Member
from notifier.model import Snapshot
from notifier.ports import TemplateMessage
from notifier.rendering import LONGEST_TEXT, clean, day, language_of, linked_form, locale_of, money
from shared.online_links import safe_link
from shared.policy import TenantPolicy

STATEMENT = "statement"
"""The template about several invoices at once."""
_BETWEEN = " + "


def render_statement(snapshots: Sequence[Snapshot], rules: TenantPolicy, catalogue: Catalogue) -> TemplateMessage:
    """The message about exactly these invoices of one contact, the oldest first; its link is the oldest one's.

    Raises ValueError for a contact without a number, or for more currencies than there is room for.
    """
    oldest = snapshots[0]
    if oldest.contact.phone is None:
        raise ValueError("a statement needs a number")
    language = language_of(STATEMENT, oldest.contact, rules, catalogue)
    link = safe_link(oldest.invoice.online_url)
    name = (linked_form(STATEMENT, oldest.contact, rules, catalogue) if link else None) or STATEMENT
    texts = statement_texts(snapshots, locale_of(language, oldest.organisation.country), link)
    return TemplateMessage(
        to=oldest.contact.phone,
        template=name,
        language=language,
        parameters=tuple((parameter, texts[parameter]) for parameter in catalogue.parameters(name)),
    )


def statement_texts(snapshots: Sequence[Snapshot], locale: Locale, link: str | None) -> dict[str, str]:
    """All that can be said of several invoices, by the parameter that says it."""
    oldest = snapshots[0]
    said = totals(snapshots, locale)
    if len(said) > LONGEST_TEXT:
        raise ValueError("a total must not be cut")
    days = [snapshot.invoice.due_on for snapshot in snapshots if snapshot.invoice.due_on is not None]
    return {
        "contact_name": clean(oldest.contact.name),
        "organisation_name": clean(oldest.organisation.name),
        "invoice_count": str(len(snapshots)),
        "totals": said,
        "oldest_due_date": day(min(days, default=None), locale),
        "link": link or "-",
    }


def totals(snapshots: Sequence[Snapshot], locale: Locale) -> str:
    """What is due in each currency, on one line: ``INR 37,500.00 + USD 420.00``, in the invoices' order."""
    sums: dict[str, Decimal] = {}
    for invoice in (snapshot.invoice for snapshot in snapshots):
        sums[invoice.currency] = sums.get(invoice.currency, Decimal(0)) + invoice.amount_due
    return _BETWEEN.join(money(amount, currency, locale) for currency, amount in sums.items())


def with_room(members: Sequence[Member], rules: TenantPolicy, catalogue: Catalogue) -> Sequence[Member]:
    """As many as one statement can tell of: a further currency goes in while its total fits, else in the next message.

    A total that is cut would be a wrong one.
    """
    oldest = members[0].snapshot
    language = language_of(STATEMENT, oldest.contact, rules, catalogue)
    locale = locale_of(language, oldest.organisation.country)
    chosen: list[Member] = []
    for currency in dict.fromkeys(member.snapshot.invoice.currency for member in members):
        more = [*chosen, *(member for member in members if member.snapshot.invoice.currency == currency)]
        if len(totals([member.snapshot for member in more], locale)) <= LONGEST_TEXT:
            chosen = more
    kept = {member.intent.intent_id for member in chosen}
    return [member for member in members if member.intent.intent_id in kept]
