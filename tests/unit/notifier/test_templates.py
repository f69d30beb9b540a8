"""Which templates may be used, what a push does to the account, and what stops the start."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from notifier.account_templates import TemplateState, language_code, status_after, why_not_usable
from notifier.catalogue import Catalogue, Template, load_catalogue, parameters_of
from notifier.statement_text import STATEMENT
from notifier.template_examples import check_templates, example_texts, needed_by
from notifier.template_plan import Act, definition_of, plan
from notifier.template_ports import ManagementError
from notifier.templates import push, table
from notifier.wishes import wish_of
from shared.errors import ConfigurationError
from shared.policy import Policy
from shared.policy_file import load_policy
from support.account import Account, business_account
from support.notifier import Clock

SHIPPED = Path(__file__).parents[3] / "config" / "policy.yaml"
CATALOGUE = load_catalogue(SHIPPED)
PAIRS = [(name, language) for name, template in CATALOGUE for language in template.languages]
SENT = ("amount", "contact_name")
THREATS = ("legal", "court", "lawyer", "police", "penalt", "blacklist", "collect", "कानूनी", "वकील", "पुलिस", "जुर्माना")


@pytest.mark.parametrize(
    ("state", "rule"),
    [
        (None, None),
        (TemplateState(), None),
        (TemplateState("APPROVED", "UTILITY", frozenset(SENT), "RED"), None),
        (TemplateState("APPROVED", "UTILITY", None), None),
        (TemplateState("PAUSED", "UTILITY"), "template_paused"),
        (TemplateState("DISABLED", "MARKETING"), "template_disabled"),
        (TemplateState("MISSING"), "template_missing"),
        (TemplateState("LANGUAGE_MISSING"), "template_language_missing"),
        (TemplateState("SOMETHING_NEW"), "template_something_new"),
        (TemplateState("APPROVED", "MARKETING"), "template_marketing"),
        (TemplateState(None, "MARKETING"), "template_marketing"),
        (TemplateState("APPROVED", "UTILITY", frozenset({"amount"})), "template_parameters"),
        (TemplateState("APPROVED", "UTILITY", frozenset({"1", "2"})), "template_parameters"),
    ],
)
def test_why_a_template_may_not_be_used(state: TemplateState | None, rule: str | None) -> None:
    assert why_not_usable(state, SENT) == rule


@pytest.mark.parametrize(
    ("event", "status"),
    [("APPROVED", "APPROVED"), ("REINSTATED", "APPROVED"), ("PAUSED", "PAUSED"), ("FLAGGED", None), (None, None)],
)
def test_what_an_event_leads_to(event: str | None, status: str | None) -> None:
    assert status_after(event) == status
    assert language_code("en-GB") == "en_GB"


@pytest.mark.parametrize(("name", "language"), PAIRS)
def test_a_shipped_text_can_be_filled_threatens_nobody_and_its_button_stops(name: str, language: str) -> None:
    template = dict(CATALOGUE)[name]
    body = template.languages[language]
    assert set(parameters_of(body)) <= set(example_texts(name, language))
    assert not [word for word in THREATS if word in body.lower()]
    assert wish_of(template.stop_button[language]) is True
    reminder = name.startswith(("invoice_due", "invoice_overdue", STATEMENT))
    assert (template.ttl_seconds is not None) is reminder


def test_the_shipped_policy_and_catalogue_fit() -> None:
    policy = load_policy(SHIPPED)
    check_templates(policy, CATALOGUE)
    assert needed_by(policy, CATALOGUE) <= set(PAIRS)
    assert len(PAIRS) == 32


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("invoice_overdue", ["invoice_count"], "invoice_overdue: no message can fill {{invoice_count}}"),
        ("invoice_overdue", ["link"], "invoice_overdue: no message can fill {{link}}"),
        ("invoice_paid_with_link", ["totals"], "invoice_paid_with_link: no message can fill {{totals}}"),
        ("statement", ["invoice_number"], "statement: no message can fill {{invoice_number}}"),
    ],
)
def test_a_template_that_no_message_fills_stops_the_start(name: str, parameters: list[str], said: str) -> None:
    catalogue = Catalogue({name: Template.model_validate({"parameters": parameters})})
    with pytest.raises(ConfigurationError) as caught:
        check_templates(Policy(), catalogue)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("We tell you {{amount}}{{link}} and a good deal more words than two.", "nothing between"),
        ("Pay {{amount}} {{link}} now.", "nothing between"),
        ("Hello {{amount}}, see {{link}} now.", "more parameters than its words carry"),
        ("Here are quite many words before the {{amount}} and the {{link}}.", "begin or end"),
        ("Two lines\nof {{amount}} with {{link}} and some more words", "one line"),
    ],
)
def test_meta_s_rules_are_checked_at_the_start(body: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Template.model_validate({"parameters": ["amount", "link"], "languages": {"en": body}})


def test_a_definition_is_as_meta_documents_it() -> None:
    template = Template.model_validate(
        {
            "parameters": ["amount"],
            "ttl_seconds": 60,
            "stop_button": {"en": "Stop"},
            "languages": {"en": "We got {{amount}} today"},
        }
    )
    assert definition_of("invoice_paid", "en", template, template.languages["en"]) == {
        "name": "invoice_paid",
        "language": "en",
        "category": "UTILITY",
        "parameter_format": "NAMED",
        "message_send_ttl_seconds": 60,
        "components": [
            {
                "type": "BODY",
                "text": "We got {{amount}} today",
                "example": {"body_text_named_params": [{"param_name": "amount", "example": "INR 12,500.00"}]},
            },
            {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Stop"}]},
        ],
    }


async def acts(account: Account, catalogue: Catalogue = CATALOGUE) -> dict[Act, int]:
    steps = plan(catalogue, await account.management.list())
    return {act: count for act in Act if (count := sum(step.act is act for step in steps))}


async def pushed(account: Account, catalogue: Catalogue = CATALOGUE) -> int:
    return await push(account.management, plan(catalogue, await account.management.list()))


def changed(name: str, **changes: Any) -> Catalogue:
    templates = dict(CATALOGUE)
    return Catalogue(templates | {name: templates[name].model_copy(update=changes)})


async def test_a_push_makes_what_is_missing_and_a_second_one_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    async with business_account(Clock()) as account:
        await account.sandbox.forget_templates()
        assert await acts(account) == {Act.CREATE: 32}
        assert await pushed(account) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 32
        assert all(line.endswith("created, APPROVED") for line in lines)
        assert await acts(account) == {Act.NOTHING: 32}
        assert await pushed(account) == 0
        assert all(line.endswith("unchanged") for line in capsys.readouterr().out.splitlines())


async def test_what_differs_is_edited_and_meta_s_limit_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    async with business_account(clock) as account:
        assert await acts(account) == {Act.EDIT: 32}
        assert await pushed(account) == 0
        assert "edited (text, buttons differs)" in capsys.readouterr().out
        texts = {language: f"Once more: {text}" for language, text in CATALOGUE_TEXTS.items()}
        other = changed("invoice_paid", languages=texts)
        assert await acts(account, other) == {Act.EDIT: 2, Act.NOTHING: 30}
        assert await pushed(account, other) == 1
        assert capsys.readouterr().out.count("refused: whatsapp_100: An approved template is edited once in 24") == 2
        clock.forward(hours=25)
        assert await pushed(account, other) == 0
        assert await acts(account, other) == {Act.NOTHING: 32}


CATALOGUE_TEXTS = dict(CATALOGUE)["invoice_paid"].languages


async def test_what_only_a_person_can_mend_is_left_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    async with business_account(clock) as account:
        await pushed(account)
        clock.forward(hours=25)
        await account.sandbox.change_template("invoice_paid", category="MARKETING", language="en")
        await account.sandbox.change_template("invoice_issued", status="PENDING", language="en")
        texts = {
            language: f"Once more: {text}" for language, text in dict(CATALOGUE)["invoice_issued"].languages.items()
        }
        other = changed("invoice_issued", languages=texts)
        capsys.readouterr()
        assert await pushed(account, other) == 1
        said = capsys.readouterr().out
        assert "re-categorised as MARKETING: ask for a review" in said
        assert "text differs; PENDING cannot be edited" in said
        rows = table(plan(other, await account.management.list())).splitlines()
        assert any(row.split()[:4] == ["invoice_paid", "en", "APPROVED", "MARKETING"] for row in rows)
        assert any("template_pending" in row for row in rows)


async def test_a_fault_of_the_whole_account_ends_the_push(capsys: pytest.CaptureFixture[str]) -> None:
    async with business_account(Clock()) as account:
        await account.sandbox.forget_templates()
        steps = plan(CATALOGUE, await account.management.list())
        await account.sandbox.settings(manage_templates=False)
        assert await push(account.management, steps) == 1
        assert len(capsys.readouterr().out.splitlines()) == 1
        with pytest.raises(ManagementError) as caught:
            await account.management.list()
        assert caught.value.forbidden


async def test_long_lists_are_read_page_by_page() -> None:
    clock = Clock()
    async with business_account(clock) as account:
        body = {"type": "BODY", "text": "A notice for everybody."}
        for number in range(190):
            if number % 95 == 94:
                clock.now += timedelta(hours=1)
            made = {"name": f"notice_{number}", "language": "en", "category": "UTILITY", "components": [body]}
            await account.management.create(made)
        found = await account.management.list()
        assert len({template.key for template in found}) == 190 + 32
        assert len(await account.sandbox.journal("whatsapp.templates")) == 190 + 2
