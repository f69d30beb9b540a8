"""The file of senders: what it may say, and what stops the start."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from notifier.catalogue import load_catalogue
from notifier.senders import EVERYTHING_DUE, Share, share_of
from notifier.senders_file import MetaSender, TwilioSender, load_senders
from notifier.settings import NotifierSettings
from notifier.template_examples import needed_by
from notifier.wiring import default_sender, further_senders
from shared.errors import ConfigurationError
from shared.policy import Policy
from support.notifier import CATALOGUE

SID = "HX" + "a" * 32
ACCOUNT = "AC" + "b" * 32
TEMPLATES = load_catalogue(CATALOGUE)
POLICY = Policy.model_validate({"tenants": {"t1": {"sender": "meera"}}})


def file_of(tmp_path: Path, text: str) -> str:
    path = tmp_path / "senders.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def twilio(*, templates: str = "", number: str = '"+14155238886"') -> str:
    head = f"senders:\n  meera:\n    provider: twilio\n    number: {number}\n    account_sid: {ACCOUNT}\n"
    return head + (f"    templates:\n{templates}" if templates else "")


def every_template() -> str:
    needed = sorted(needed_by(POLICY, TEMPLATES, "meera"))
    return "".join(f"      {name}: {{{language}: {SID}}}\n" for name, language in needed)


def complaint(tmp_path: Path, text: str, policy: Policy = POLICY) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_senders(file_of(tmp_path, text)).check(policy, TEMPLATES, "4711")
    return str(caught.value).replace(str(tmp_path), "")


def test_without_a_file_there_is_the_default_sender_alone() -> None:
    senders = load_senders(None)
    senders.check(Policy(), TEMPLATES, "4711")
    assert senders.entries == {}


def test_a_file_with_both_providers(tmp_path: Path) -> None:
    text = twilio(templates=every_template()) + (
        "  other:\n    provider: meta\n    phone_number_id: 4712\n    messages_per_second: 20\n"
    )
    senders = load_senders(file_of(tmp_path, text))
    senders.check(POLICY, TEMPLATES, "4711")
    meera, other = senders.entries["meera"], senders.entries["other"]
    assert isinstance(meera, TwilioSender)
    assert isinstance(other, MetaSender)
    assert (meera.number, other.number, other.messages_per_second) == ("+14155238886", "4712", 20)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sender: {}\n", "/senders.yaml:1: sender: unknown key"),
        ("senders:\n  default: {provider: meta, phone_number_id: 1}\n", "/senders.yaml:2: senders.default: this name"),
        ("senders:\n  x: {provider: pigeon}\n", "/senders.yaml:2: senders.x: Input tag 'pigeon'"),
        ("senders:\n  x: {provider: meta}\n", "/senders.yaml:2: senders.x.phone_number_id: Field required"),
        ("senders:\n  x: {provider: meta, phone_number_id: 1, token: t}\n", "senders.x.token: unknown key"),
        (
            "senders:\n  X Y: {provider: meta, phone_number_id: 1}\n",
            "/senders.yaml:2: senders.X Y: String should match",
        ),
        (twilio(number="4155238886"), "/senders.yaml:4: senders.meera.number: String should match"),
        (twilio(), "/senders.yaml:2: senders.meera.templates.invoice_due_soon: no content_sid for en"),
        (
            twilio(templates=every_template().replace(f"invoice_overdue: {{en: {SID}}}", "invoice_overdue: {}")),
            "senders.meera.templates.invoice_overdue: no content_sid for en",
        ),
        (
            twilio(
                templates=every_template().replace(
                    f"invoice_overdue: {{en: {SID}}}",
                    f"invoice_overdue: {{en: {{content_sid: {SID}, variables: [amount, due_date]}}}}",
                )
            ),
            "senders.meera.templates.invoice_overdue.en: variables must be filled by contact_name",
        ),
        ("senders:\n  meera: {provider: meta, phone_number_id: 4711}\n", "senders.meera: has the number of default"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in complaint(tmp_path, text)


def test_a_sender_that_only_the_policy_knows_stops_the_start(tmp_path: Path) -> None:
    assert "sender meera" in complaint(tmp_path, "senders: {}\n")


def settings(tmp_path: Path, text: str, **given: object) -> NotifierSettings:
    return NotifierSettings(
        whatsapp_access_token=SecretStr("t"),
        whatsapp_phone_number_id="4711",
        senders_file=file_of(tmp_path, text),
        **given,  # type: ignore[arg-type]  # as the environment gives them
    )


async def test_a_secret_is_needed_by_name_and_twilio_needs_the_address(tmp_path: Path) -> None:
    text = twilio()
    for given, said in (
        ({}, "DUEBELL_SENDER_SECRETS has nothing for the sender meera"),
        ({"sender_secrets": "meera:s"}, "DUEBELL_TWILIO_WEBHOOK_URL is missing"),
        (
            {"sender_secrets": "meera:s,mira:s", "twilio_webhook_url": "https://x/webhooks/twilio"},
            "DUEBELL_SENDERS_FILE has no sender mira",
        ),
    ):
        found = settings(tmp_path, text, **given)
        with pytest.raises(ConfigurationError, match=said):
            further_senders(found, load_senders(found.senders_file))
    found = settings(tmp_path, text, sender_secrets="meera:a:b", twilio_webhook_url="https://x/webhooks/twilio")
    (part,) = further_senders(found, load_senders(found.senders_file))
    assert (part.pace.number, part.pace.sender, part.pace.provider) == ("+14155238886", "meera", "twilio")
    assert found.sender_secrets["meera"].get_secret_value() == "a:b"
    assert "a:b" not in repr(found)
    await part.client.aclose()
    default = default_sender(found)
    assert (default.pace.number, default.pace.sender, default.account) == ("4711", "default", None)
    await default.client.aclose()


@pytest.mark.parametrize("text", ["meera", "meera:", ":s", "a:b,c"])
def test_secrets_are_pairs(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValidationError, match="name:secret"):
        settings(tmp_path, "senders: {}\n", sender_secrets=text)


def test_every_organisation_is_in_exactly_one_share() -> None:
    senders = frozenset({"default", "a", "b"})
    tenants = {"t1": {"sender": "a"}, "t2": {"sender": "b"}, "t3": {}, "t4": {"sender": "default"}}
    for default in sorted(senders):
        policy = Policy.model_validate(
            {
                "defaults": {"sender": default},
                "tenants": {name: {"sender": default, **rules} for name, rules in tenants.items()},
            }
        )
        shares = {name: share_of(name, policy, senders) for name in senders}
        for tenant in (*tenants, "unheard of"):
            owners = [name for name, share in shares.items() if (tenant in share.tenants) is not share.but]
            assert owners == [policy.for_tenant(tenant).sender]
    assert share_of("default", Policy(), frozenset({"default"})) == EVERYTHING_DUE == Share(but=True)
