"""Meta's own OpenAPI file accepts what our adapter sends and what the sandbox answers."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from deploy.paths import ROOT
from notifier.adapters.whatsapp import WhatsAppProvider
from notifier.catalogue import Catalogue, load_catalogue
from notifier.confirm_ports import TextMessage
from notifier.ports import Accepted, Rejected, TemplateMessage
from notifier.stop_texts import STOP_TEXTS
from sandbox.app import create_app
from sandbox.client import Sandbox
from sandbox.whatsapp.graph import TITLES
from support.official import Fault, OfficialFile
from support.official_files import keeping, official_file, unknown
from unit.sandbox.playing import BASE, BEARER, Clock, Double, Receiver

GRAPH = "https://graph.facebook.com"
PATH = "/v25.0/100000000000001/messages"
TEMPLATES = [*(f"invoice_{name}" for name in ("issued", "due_soon", "due_today", "overdue", "paid")), "statement"]
TEXT = "Sharma & Söhne, ₹ 1,00,000.00"

KNOWN = {
    "body .template.language: required policy": "the reference shows messages without; deterministic is all there is",
    "body .biz_opaque_callback_data: undescribed": "in the reference and in the file's own webhooks",
    "body .template.components[].parameters[].parameter_name: undescribed": "named parameters are in the reference",
    **{
        f"answer {status}: undescribed": "the file describes 200 alone; an error looks as its GraphAPIError elsewhere"
        for status in (400, 401, 403, 404, 500, 503)
    },
    "error .error.error_data: undescribed": "the reference of error codes shows it in every answer",
}


class Scene:
    def __init__(self, double: Double, client: httpx.AsyncClient, seen: list[httpx.Response]) -> None:
        self.double, self.seen = double, seen
        self.provider = WhatsAppProvider(client, path=PATH, deadline_seconds=10)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    clock, receiver, seen = Clock(), Receiver(), list[httpx.Response]()
    app = create_app(httpx.AsyncClient(transport=httpx.MockTransport(receiver)), clock)
    transport = httpx.ASGITransport(app=app)
    async with (
        httpx.AsyncClient(transport=transport, base_url=BASE) as plain,
        httpx.AsyncClient(transport=transport, base_url=GRAPH, headers=BEARER, event_hooks=keeping(seen)) as graph,
    ):
        yield Scene(Double(app, plain, Sandbox(BASE, plain), clock, receiver), graph, seen)
        await app.state.world.close()


@pytest.fixture(scope="module")
def official() -> OfficialFile:
    return official_file("*business-messaging*v23*.yaml")


def messages(catalogue: Catalogue) -> list[TemplateMessage]:
    """Every template of the catalogue, with and without a link, in both languages."""
    forms = [(name, language) for name in TEMPLATES for language in ("en", "hi")]
    forms += [(f"{name}_with_link", language) for name, language in forms if catalogue.with_link(name, language)]
    return [
        TemplateMessage(f"+9198765{number:05d}", name, language, _parameters(catalogue, name))
        for number, (name, language) in enumerate(forms)
    ]


def _parameters(catalogue: Catalogue, name: str) -> tuple[tuple[str, str], ...]:
    return tuple((parameter, TEXT) for parameter in catalogue.parameters(name))


async def test_the_file_accepts_every_message_and_every_answer(scene: Scene, official: OfficialFile) -> None:
    sent = messages(load_catalogue(ROOT / "config/policy.yaml"))
    assert len({message.template for message in sent}) > len(TEMPLATES)
    for message in sent:
        assert isinstance(await scene.provider.send(message, "v1.reference"), Accepted)
    await scene.double.admin.inbound("+919876543210", "STOP")
    for text in STOP_TEXTS.values():
        assert isinstance(await scene.provider.send_text(TextMessage("+919876543210", text), "v1.reference"), Accepted)
    await scene.double.admin.settings(message_status="held_for_quality_assessment")
    assert await scene.provider.send(sent[0], "v1.reference")
    for code in TITLES:
        await scene.double.admin.faults([{"on": "whatsapp.message", "effect": "graph", "code": code}])
        outcome = await scene.provider.send(sent[0], "v1.reference")
        assert isinstance(outcome, Rejected)
    used: set[str] = set()
    faults: list[Fault] = []
    for answer in scene.seen:
        faults += official.exchange(answer)
        if answer.status_code != 200:
            faults += official.value(official.schema("GraphAPIError"), answer.json(), "error ")
    assert unknown(faults, KNOWN, used) == []
    assert used == set(KNOWN)


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"to": 9876543210}, "body .to: string"),
    ({"recipient_type": "everybody"}, "body .recipient_type: enum"),
    ({"note": "Ravi"}, "body .note: undescribed"),
    ({"template": {"language": {"code": "en", "policy": "deterministic"}}}, "body .template: required name"),
]


@pytest.mark.parametrize(("change", "fault"), BROKEN)
async def test_the_file_refuses_what_is_wrong(
    scene: Scene, official: OfficialFile, change: dict[str, Any], fault: str
) -> None:
    await scene.provider.send(TemplateMessage("+919876543210", "invoice_overdue", "en", ()), "v1.reference")
    [answer] = scene.seen
    body = json.loads(answer.request.content) | change
    answer.request = httpx.Request("POST", f"{GRAPH}{PATH}", headers=BEARER, json=body)
    assert fault in {found.key for found in official.exchange(answer)}
