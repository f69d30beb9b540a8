"""What a message says."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from notifier.catalogue import LINK_SUFFIX, STANDARD_PARAMETERS, Template, load_catalogue
from notifier.model import Snapshot
from notifier.rendering import LONGEST_TEXT, clean, day, money, render
from shared.contracts.messages import MessageKind
from shared.errors import ConfigurationError
from shared.policy import TenantPolicy
from support.builders import make_enriched

SHIPPED = Path(__file__).parents[3] / "config" / "policy.yaml"
CATALOGUE = load_catalogue(SHIPPED)
NAMES = ("invoice_issued", "invoice_due_soon", "invoice_due_today", "invoice_overdue", "invoice_overdue_firm")
ALL = (*NAMES, "invoice_overdue_final", "invoice_paid")


def said(
    kind: MessageKind = MessageKind.REMINDER,
    stage: int | None = 7,
    language: str = "en",
    online_link: bool = True,
    **changes: Any,
) -> Any:
    rules = TenantPolicy.model_validate({"language": language, "online_link": online_link})
    return render(Snapshot.of(make_enriched(**changes)), kind, stage, rules, CATALOGUE)


def test_a_reminder_in_english() -> None:
    message = said()
    assert (message.to, message.template, message.language) == ("+919876543210", "invoice_overdue", "en")
    assert dict(message.parameters) == {
        "contact_name": "Asha Traders",
        "organisation_name": "Meera Textiles",
        "invoice_number": "INV-1042",
        "amount": "INR 12,500.00",
        "due_date": "16 Jun 2026",
    }


def test_a_reminder_in_hindi() -> None:
    assert dict(said(language="hi").parameters)["due_date"] == "16 जून 2026"


@pytest.mark.parametrize(
    ("stage", "template"),
    [(-3, NAMES[1]), (0, NAMES[2]), (3, NAMES[3]), (7, NAMES[3]), (14, NAMES[4]), (30, "invoice_overdue_final")],
)
def test_each_stage_has_its_template(stage: int, template: str) -> None:
    assert said(stage=stage).template == template


def test_thanks_name_what_was_paid_and_no_due_date() -> None:
    message = said(MessageKind.PAID, None, invoice={"amount_due": 0, "amount_paid": Decimal("12000")})
    assert [name for name, _ in message.parameters] == ["contact_name", "organisation_name", "invoice_number", "amount"]
    assert dict(message.parameters)["amount"] == "INR 12,000.00"


def test_a_known_link_takes_the_variant_that_carries_it() -> None:
    message = said(invoice={"online_url": "https://in.xero.com/abc"})
    assert message.template == "invoice_overdue_with_link"
    assert dict(message.parameters)["link"] == "https://in.xero.com/abc"


def test_a_known_link_is_not_shown_unless_the_policy_asks_for_it() -> None:
    assert said(online_link=False, invoice={"online_url": "https://in.xero.com/abc"}).template == "invoice_overdue"


@pytest.mark.parametrize("url", ["http://in.xero.com/x", "https://in.xero.com/" + "a" * 300, "https://x/a"])
def test_a_link_that_is_not_safe_is_left_out(url: str) -> None:
    assert said(invoice={"online_url": url}).template == "invoice_overdue"


def test_an_unknown_template_takes_the_standard_parameters() -> None:
    stage = {"offset_days": 7, "template": "our_own", "lateness_days": 1}
    rules = TenantPolicy.model_validate({"stages": [stage], "language": "fr"})
    message = render(Snapshot.of(make_enriched()), MessageKind.REMINDER, 7, rules, CATALOGUE)
    assert message is not None
    assert (message.template, message.language) == ("our_own", "fr")
    assert tuple(name for name, _ in message.parameters) == STANDARD_PARAMETERS


def test_no_stage_or_no_number_is_no_message() -> None:
    assert said(stage=5) is None
    assert said(contact={"phone": None, "no_phone_reason": "invalid"}) is None


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "text"),
    [
        ("12500", "INR", "en", "INR 12,500.00"),
        ("1234567.5", "INR", "en_IN", "INR 12,34,567.50"),
        ("1500", "JPY", "en", "JPY 1,500"),
        ("1.5", "BHD", "en", "BHD 1.500"),
        ("1234.5", "EUR", "de_DE", "EUR 1.234,50"),
    ],
)
def test_money(amount: str, currency: str, locale: str, text: str) -> None:
    assert money(Decimal(amount), currency, Locale.parse(locale)) == text


def test_no_due_date_is_a_dash() -> None:
    assert day(None, Locale.parse("en")) == "-"
    assert day(date(2026, 6, 3), Locale.parse("en_GB")) == "3 Jun 2026"


@given(st.text(max_size=300))
def test_clean_text_is_what_whatsapp_takes(text: str) -> None:
    cleaned = clean(text)
    assert cleaned
    assert len(cleaned) <= LONGEST_TEXT
    assert not {"\n", "\t", "\r"} & set(cleaned)
    assert "     " not in cleaned


@given(
    st.text(max_size=2000), st.text(max_size=2000), st.sampled_from([-3, 0, 3, 14, 30]), st.sampled_from(["en", "hi"])
)
def test_no_filled_body_is_too_long(contact: str, organisation: str, stage: int, language: str) -> None:
    message = said(
        stage=stage,
        language=language,
        contact={"name": contact},
        organisation={"name": organisation},
        invoice={"online_url": "https://in.xero.com/" + "x" * 150, "number": contact, "amount_due": Decimal("1e15")},
    )
    body = CATALOGUE.body(message.template, language)
    assert body is not None
    for name, text in message.parameters:
        body = body.replace("{{" + name + "}}", text)
    assert len(body) <= 1024


@pytest.mark.parametrize("name", ALL)
def test_the_catalogue_has_every_template_in_both_languages(name: str) -> None:
    for variant in (name, name + LINK_SUFFIX):
        for language in ("en", "hi"):
            assert CATALOGUE.body(variant, language)
    assert ("link" in CATALOGUE.parameters(name + LINK_SUFFIX)) is True
    assert ("due_date" in CATALOGUE.parameters(name)) is (name != "invoice_paid")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: {languages: {en: 'x'}}", "must use each of its parameters once"),
        ("a: {parameters: [link], languages: {en: '{{link}} x'}}", "must not begin or end"),
        ("a: {parameters: [link], languages: {en: 'x {{link}} " + "y" * 600 + "'}}", "is longer than"),
        ("a: {parameters: [phone]}", "a.parameters.0"),
        ("a: {colour: red}", "a.colour"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_mistake_in_the_catalogue_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "templates.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"templates\.yaml: ") as caught:
        load_catalogue(tmp_path / "policy.yaml")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_template_may_have_no_text_of_its_own() -> None:
    assert Template().parameters == STANDARD_PARAMETERS


@pytest.mark.parametrize(
    ("languages", "template", "language"),
    [
        ({}, "invoice_overdue", "en"),
        ({"Asha Traders": "hi"}, "invoice_overdue", "hi"),
        ({"asha  traders": "hi"}, "invoice_overdue", "hi"),
        ({"9c0f8a34-2f0e-4a9d-b0a1-7c6c1f2d3e45": "hi"}, "invoice_overdue", "hi"),
        ({"Somebody Else": "hi"}, "invoice_overdue", "en"),
        ({"Asha Traders": "fr"}, "invoice_overdue", "en"),  # the template has no French
        ({"Asha Traders": "hi"}, "our_own", "en"),  # nobody knows what that template has
    ],
)
@pytest.mark.parametrize("link", [None, "https://in.xero.com/abc"])
def test_each_contact_in_its_language(
    languages: dict[str, str], template: str, language: str, link: str | None
) -> None:
    stages = [{"offset_days": 7, "template": template, "lateness_days": 1}]
    rules = TenantPolicy.model_validate({"languages": languages, "stages": stages, "online_link": True})
    snapshot = Snapshot.of(make_enriched(invoice={"online_url": link}))
    message = render(snapshot, MessageKind.REMINDER, 7, rules, CATALOGUE)
    assert message is not None
    assert message.language == language
    assert message.template == template + (LINK_SUFFIX if link and template != "our_own" else "")
    # Words and grouping go with it: in India one writes 12,500.00 in either.
    assert ("जून" in dict(message.parameters)["due_date"]) is (language == "hi")
