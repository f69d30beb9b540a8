"""The sandbox's Twilio is as strict as the real one, and tells what it saw."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ingress.signatures import twilio_signature_matches
from notifier.adapters.twilio import CALLBACK_RETRIES, Content, TwilioProvider
from notifier.ports import Accepted, Rejected, TemplateMessage
from notifier.providers import Sought
from sandbox.app import create_app
from sandbox.client import Sandbox
from sandbox.settings import Settings
from sandbox.twilio.messages import content_sid
from unit.sandbox.playing import BASE, Clock, Receiver

DOUBLE = Settings()
TOKEN = DOUBLE.twilio_auth_token.get_secret_value()
PUBLIC = "https://duebell.example/webhooks/twilio"
PARAMETERS = ("contact_name", "organisation_name", "invoice_number", "amount", "due_date")
MESSAGE = TemplateMessage("+919876543210", "invoice_issued", "en", tuple((name, name.upper()) for name in PARAMETERS))
PATH = f"/2010-04-01/Accounts/{DOUBLE.twilio_account_sid}/Messages.json"


class Scene:
    def __init__(self, client: httpx.AsyncClient, sandbox: Sandbox, receiver: Receiver, clock: Clock) -> None:
        self.client, self.sandbox, self.receiver, self.clock = client, sandbox, receiver, clock

    def provider(self, **contents: str) -> TwilioProvider:
        known = {("invoice_issued", "en"): Content(contents.get("sid", content_sid("invoice_issued", "en")))}
        return TwilioProvider(
            self.client,
            account_sid=DOUBLE.twilio_account_sid,
            number=DOUBLE.twilio_number,
            contents=known,
            callback_url=PUBLIC,
            deadline_seconds=5,
        )


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    clock, receiver = Clock(), Receiver()
    app = create_app(httpx.AsyncClient(transport=httpx.MockTransport(receiver)), clock)
    transport = httpx.ASGITransport(app=app)
    auth = (DOUBLE.twilio_account_sid, TOKEN)
    async with (
        httpx.AsyncClient(transport=transport, base_url=BASE) as plain,
        httpx.AsyncClient(transport=transport, base_url=BASE, auth=auth) as twilio,
    ):
        yield Scene(twilio, Sandbox(BASE, plain), receiver, clock)
        await app.state.world.close()


async def test_our_message_is_taken_listed_and_called_back_signed(scene: Scene) -> None:
    outcome = await scene.provider().send(MESSAGE, "v1.ref")
    assert isinstance(outcome, Accepted)
    (entry,) = await scene.sandbox.journal("twilio.message")
    assert (entry["to"], entry["reference"], entry["sid"]) == (MESSAGE.to, "v1.ref", outcome.provider_message_id)
    assert "INVOICE_NUMBER" in entry["text"]
    sought = Sought(MESSAGE.to, scene.clock.now, scene.clock.now, "INVOICE_NUMBER")
    assert await scene.provider().look_up(sought) == [outcome.provider_message_id]
    await scene.sandbox.status(outcome.provider_message_id, "delivered")
    (request,) = scene.receiver.requests
    assert str(request.url) == f"{PUBLIC}?ref=v1.ref"
    signature = request.headers["x-twilio-signature"]
    assert twilio_signature_matches(request.content, signature, str(request.url), [TOKEN])


async def test_a_callback_that_meets_a_fault_is_repeated_because_we_ask_for_it(scene: Scene) -> None:
    outcome = await scene.provider().send(MESSAGE, "v1.ref")
    assert isinstance(outcome, Accepted)
    assert "rc=3" in CALLBACK_RETRIES
    scene.receiver.status = 503
    await scene.sandbox.status(outcome.provider_message_id, "delivered")
    assert len(scene.receiver.requests) == 1 + 3


def form(**changes: str | None) -> dict[str, Any]:
    fields: dict[str, str | None] = {
        "From": f"whatsapp:{DOUBLE.twilio_number}",
        "To": f"whatsapp:{MESSAGE.to}",
        "ContentSid": content_sid("invoice_issued", "en"),
        "ContentVariables": json.dumps(dict(MESSAGE.parameters)),
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"From": "whatsapp:+15550000000"}, 63007),
        ({"From": DOUBLE.twilio_number}, 63007),
        ({"To": "+919876543210"}, 21211),
        ({"To": "whatsapp:919876543210"}, 21211),
        ({"To": None}, 21604),
        ({"ContentSid": "HX" + "0" * 32}, 21655),
        ({"ContentVariables": "{"}, 21656),
        ({"ContentVariables": '{"1": "x"}'}, 63028),
        ({"ContentVariables": json.dumps(dict.fromkeys(PARAMETERS, "a\nb"))}, 21656),
        ({"StatusCallback": "duebell.example"}, 21609),
        ({"ContentSid": None, "Body": "hello"}, 63016),
        ({"ContentSid": None}, 21619),
        ({"Idempotency": "x"}, 20001),
    ],
)
async def test_what_twilio_refuses(scene: Scene, changes: dict[str, str | None], code: int) -> None:
    answer = await scene.client.post(PATH, data=form(**changes))
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert await scene.sandbox.journal("twilio.message") == []
    assert len(await scene.sandbox.journal("twilio.refused")) == 1


async def test_a_wrong_token_is_refused_and_two_posts_are_two_messages(scene: Scene) -> None:
    answer = await scene.client.post(PATH, data=form(), auth=(DOUBLE.twilio_account_sid, "wrong"))
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    for _ in range(2):
        assert (await scene.client.post(PATH, data=form())).status_code == 201
    assert len(await scene.sandbox.journal("twilio.message")) == 2


@pytest.mark.parametrize(("effect", "kind"), [("status429", Rejected), ("status500", None), ("html", None)])
async def test_its_faults_look_like_twilio_s(scene: Scene, effect: str, kind: type | None) -> None:
    await scene.sandbox.fault("twilio.message", effect, method="POST")
    outcome = await scene.provider().send(MESSAGE, "v1.ref")
    assert isinstance(outcome, Rejected) is (kind is Rejected)
    assert await scene.sandbox.journal("twilio.message") == []


async def test_an_answer_lost_after_the_effect_is_found_again(scene: Scene) -> None:
    await scene.sandbox.fault("twilio.message", "lose_answer_after_effect", method="POST")
    with pytest.raises(ConnectionError):  # without a socket the sandbox can only say so
        await scene.provider().send(MESSAGE, "v1.ref")
    assert len(await scene.sandbox.journal("twilio.message")) == 1
    sought = Sought(MESSAGE.to, scene.clock.now, scene.clock.now, "INVOICE_NUMBER")
    assert len(await scene.provider().look_up(sought)) == 1
