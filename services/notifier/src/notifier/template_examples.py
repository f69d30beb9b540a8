"""An example of every parameter in every language, made by the code that fills real messages."""

from datetime import UTC, date, datetime
from decimal import Decimal

from notifier.catalogue import LINK_SUFFIX, Catalogue
from notifier.gathering import gathers
from notifier.model import Snapshot
from notifier.rendering import ALERT_TEMPLATES, day, invoice_texts, locale_of, money
from notifier.statement_text import STATEMENT
from shared.contracts.invoices import Contact, Invoice, Organisation
from shared.contracts.messages import MessageKind
from shared.errors import ConfigurationError
from shared.policy import Policy, TenantPolicy

_LINK = "https://in.xero.com/AbCdEfGh1234567890"
_COUNTRY = "IN"


def example_texts(name: str, language: str) -> dict[str, str]:
    """Parameter → example, for all that a message with this template can fill."""
    locale = locale_of(language, _COUNTRY)
    kind = next((kind for kind, alert in ALERT_TEMPLATES.items() if alert == _plain(name)), MessageKind.REMINDER)
    texts = invoice_texts(_example_invoice(), kind, locale, _LINK)
    if _plain(name) != STATEMENT:
        return texts
    about_all = {
        "invoice_count": "3",
        "totals": f"{money(Decimal(37500), 'INR', locale)} + {money(Decimal(420), 'USD', locale)}",
        "oldest_due_date": day(date(2026, 5, 21), locale),
    }
    return {shared: texts[shared] for shared in ("contact_name", "organisation_name", "link")} | about_all


def check_templates(policy: Policy, catalogue: Catalogue) -> None:
    """Hold every template that may be sent against what fills it.

    Raises ConfigurationError with one line that names the template and the parameter.
    """
    if STATEMENT in names_in(policy) and STATEMENT not in catalogue:
        raise ConfigurationError(f"templates.yaml: {STATEMENT}: is missing, and group_by_contact needs it")
    for name in sorted({*names_in(policy), *({STATEMENT} if STATEMENT in catalogue else ())}):
        for form in (name, f"{name}{LINK_SUFFIX}"):
            fillable = set(example_texts(name, policy.defaults.language))
            if form == name:
                fillable.discard("link")
            for parameter in catalogue.parameters(form) if form in catalogue else ():
                if parameter not in fillable:
                    raise ConfigurationError(f"templates.yaml: {form}: no message can fill {{{{{parameter}}}}}")


def needed_by(policy: Policy, catalogue: Catalogue, sender: str | None = None) -> frozenset[tuple[str, str]]:
    """Name and language of every template that invoices' messages take under this policy, by ``sender`` or by any."""
    return frozenset(
        (form, language)
        for rules in (policy.defaults, *policy.tenants.values())
        if sender in {None, rules.sender}
        for name in _names_under(rules)
        for language in _languages_under(name, rules, catalogue)
        for form in (name, catalogue.with_link(name, language) if rules.online_link else None)
        if form is not None
    )


def _languages_under(name: str, rules: TenantPolicy, catalogue: Catalogue) -> set[str]:
    of_contacts = {language for language in rules.languages.values() if catalogue.body(name, language) is not None}
    return {rules.language, *of_contacts}


def _names_under(rules: TenantPolicy) -> set[str]:
    alerts = {MessageKind.ISSUED: rules.alerts.issued, MessageKind.PAID: rules.alerts.paid}
    wanted = {ALERT_TEMPLATES[kind] for kind, on in alerts.items() if on}
    return {*wanted, *(stage.template for stage in rules.stages), *_statement_under(rules)}


def _statement_under(rules: TenantPolicy) -> set[str]:
    overdue = any(gathers(rules, MessageKind.REMINDER, stage.offset_days) for stage in rules.stages)
    return {STATEMENT} if overdue else set()


def names_in(policy: Policy) -> set[str]:
    """All templates that invoices' messages may take, in their plain form."""
    rules = (policy.defaults, *policy.tenants.values())
    stages = {stage.template for each in rules for stage in each.stages}
    return {*ALERT_TEMPLATES.values(), *stages, *(name for each in rules for name in _statement_under(each))}


def _plain(name: str) -> str:
    return name.removesuffix(LINK_SUFFIX)


def _example_invoice() -> Snapshot:
    return Snapshot(
        tenant_id="example",
        invoice=Invoice(
            invoice_id="example",
            number="INV-1042",
            type="ACCREC",
            status="AUTHORISED",
            total=Decimal("12500.00"),
            amount_due=Decimal("12500.00"),
            amount_paid=Decimal("12500.00"),
            amount_credited=Decimal(0),
            currency="INR",
            issued_on=date(2026, 6, 2),
            due_on=date(2026, 6, 16),
            expected_payment_on=None,
            updated_at=datetime(2026, 6, 2, tzinfo=UTC),
            online_url=_LINK,
        ),
        contact=Contact(
            contact_id="example", name="Asha Traders", status="ACTIVE", phone="+919876543210", no_phone_reason=None
        ),
        organisation=Organisation(
            name="Meera Textiles", time_zone="Asia/Kolkata", country=_COUNTRY, base_currency="INR"
        ),
        read_at=datetime(2026, 6, 2, tzinfo=UTC),
    )
