"""Twilio's signature by its own published examples, and what is made of its forms."""

from urllib.parse import urlencode

import pytest
from pydantic import SecretStr, ValidationError

from ingress.bodies import MAX_BODY_BYTES
from ingress.settings import IngressSettings
from ingress.signatures import twilio_signature_matches
from ingress.twilio import TWILIO_BYTES, read_twilio
from shared.contracts.whatsapp import WhatsAppUpdateKind, WhatsAppUpdateReceivedV1
from support.builders import NOON
from support.outbox import FakeOutbox
from support.provider_cases import OURS, door, twilio_webhook

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
SID = "SM" + "c" * 32
STATUS = {
    "MessageSid": SID,
    "MessageStatus": "Undelivered",
    "ErrorCode": "63024",
    "To": "whatsapp:+919876543210",
    "From": f"whatsapp:{OURS}",
}
STOP = {
    "MessageSid": "SM" + "d" * 32,
    "SmsStatus": "received",
    "From": "whatsapp:+919876543210",
    "To": f"whatsapp:{OURS}",
    "WaId": "919876543210",
    "Body": "Stop messages",
    "ButtonText": "Stop messages",
    "ButtonPayload": "Stop messages",
    "OriginalRepliedMessageSid": SID,
}


def encoded(form: dict[str, str]) -> bytes:
    return urlencode(form).encode()


def test_twilio_s_own_examples_match() -> None:
    assert twilio_signature_matches(encoded(FORM), SIGNATURE, URL, ["12345"])
    repeated = b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234"
    assert twilio_signature_matches(repeated, "IK+Dwps556ElfBT0I3Rgjkr1wJU=", URL, ["12345"])


def test_any_other_address_form_or_token_does_not() -> None:
    body = encoded(FORM)
    assert twilio_signature_matches(body, SIGNATURE, URL, ["54321", "12345"])
    assert not twilio_signature_matches(body, SIGNATURE, URL, ["54321"])
    assert not twilio_signature_matches(body, SIGNATURE, URL, [])
    assert not twilio_signature_matches(body, SIGNATURE, URL.replace("bar=2", "bar=3"), ["12345"])
    assert not twilio_signature_matches(body + b"&More=1", SIGNATURE, URL, ["12345"])
    for place in range(len(SIGNATURE)):
        wrong = SIGNATURE[:place] + ("A" if SIGNATURE[place] != "A" else "B") + SIGNATURE[place + 1 :]
        assert not twilio_signature_matches(body, wrong, URL, ["12345"])


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join([b"a=1"] * 2000), b"a=%ff"])
def test_what_is_no_form_is_not_signed(body: bytes) -> None:
    assert not twilio_signature_matches(body, SIGNATURE, URL, ["12345"])


def update(form: dict[str, str], query: str = "") -> WhatsAppUpdateReceivedV1:
    contents = read_twilio(encoded(form), NOON, query)
    assert contents.unreadable == ()
    (event,) = contents.events
    assert isinstance(event, WhatsAppUpdateReceivedV1)
    return event


def test_a_status_says_of_which_message_for_which_attempt_and_why_it_failed() -> None:
    told = update(STATUS, "ref=v1.attempt")
    assert (told.kind, told.provider, told.provider_message_id) == (WhatsAppUpdateKind.STATUS, "twilio", SID)
    assert (told.reference, told.status, told.error_code) == ("v1.attempt", "undelivered", 63024)
    assert (told.person_phone, told.phone_number_id) == ("+919876543210", OURS)
    assert told.raw == STATUS


def test_a_tap_says_what_was_pressed_and_on_which_message() -> None:
    told = update(STOP)
    assert (told.kind, told.text, told.button_payload) == (WhatsAppUpdateKind.MESSAGE, "Stop messages", "Stop messages")
    assert (told.reply_to, told.person_phone, told.phone_number_id) == (SID, "+919876543210", OURS)


def test_a_repeated_delivery_is_known_by_its_id_and_another_status_is_another() -> None:
    first, again = update(STATUS), update(STATUS | {"To": "whatsapp:+919876543211"})
    assert first.update_id == again.update_id
    assert first.update_id != update(STATUS | {"MessageStatus": "delivered"}).update_id


@pytest.mark.parametrize("sid", ["wamid.HBgM", "", "SM1", "SM" + "g" * 32, "XX" + "a" * 32])
def test_no_other_provider_s_id_is_taken_from_twilio(sid: str) -> None:
    contents = read_twilio(encoded(STATUS | {"MessageSid": sid}), NOON, "")
    assert contents.events == ()
    assert [piece.reason for piece in contents.unreadable] == ["unreadable_status"]


async def test_the_door_keeps_a_bound_of_its_own_and_what_it_cannot_read() -> None:
    outbox = FakeOutbox()
    async with door(outbox) as client:
        assert TWILIO_BYTES < MAX_BODY_BYTES
        assert (await client.post("/webhooks/twilio", content=b"a=" + b"x" * TWILIO_BYTES)).status_code == 413
        assert (await client.send(twilio_webhook({"MessageSid": "odd", "MessageStatus": "sent"}))).status_code == 200
        assert [reason for _, reason in outbox.kept] == ["unreadable_status"]
        assert (await client.get("/webhooks/twilio")).status_code == 405
        headers = {"x-twilio-signature": "x"}
        assert (await client.post("/webhooks/twilio?ref=%ff\xff", content=b"a=1", headers=headers)).status_code == 401


def test_tokens_without_the_address_they_sign_stop_the_start() -> None:
    given = {
        "xero_webhook_keys": "key",
        "whatsapp_app_secret": SecretStr("one, two"),
        "whatsapp_verify_token": SecretStr("word"),
        "twilio_auth_tokens": "first,second",
    }
    with pytest.raises(ValidationError, match="DUEBELL_TWILIO_WEBHOOK_URL"):
        IngressSettings(**given)  # type: ignore[arg-type]  # as the environment gives them
    settings = IngressSettings(**given, twilio_webhook_url="https://duebell.example/webhooks/twilio")  # type: ignore[arg-type]  # as above
    assert [token.get_secret_value() for token in settings.twilio_auth_tokens] == ["first", "second"]
    assert settings.app_secrets == ("one", "two")
