"""What the contract suite has to know of each provider: how it is asked, how it answers, how it calls back."""

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from ingress.accept import AcceptWebhook
from ingress.bursts import Lanes, TenantBursts
from ingress.metrics import DoorFigures
from ingress.signatures import any_meta_signature_matches, twilio_signature_matches
from ingress.webhooks import Webhooks, webhook_routes
from notifier.adapters.twilio import Content, TwilioProvider
from notifier.adapters.whatsapp import WhatsAppProvider
from notifier.ports import TemplateMessage
from notifier.providers import Provider
from notifier.whatsapp_errors import ErrorClass
from support.builders import NOON
from support.outbox import FakeOutbox

MESSAGE = TemplateMessage("+919876543210", "invoice_overdue", "en", (("contact_name", "Asha"), ("amount", "INR 1.00")))
OURS = "+14155238886"
SECRET = "a secret that signs"
ACCOUNT_SID = "AC" + "a" * 32
PUBLIC = "https://duebell.example/webhooks/twilio"


@dataclass(frozen=True)
class Case:
    """One provider. ``codes`` is an error of each class; ``callback`` a signed status webhook of a message."""

    name: str
    make: Callable[..., Provider]
    message_id: str
    accepted: Mapping[str, Any]
    accepted_status: int
    without_id: tuple[Mapping[str, Any], ...]
    refusal: Callable[[int], tuple[int, Mapping[str, Any]]]
    codes: Mapping[ErrorClass, int]
    reference_in: Callable[[httpx.Request], str | None]
    recipient_in: Callable[[httpx.Request], str]
    callback: Callable[[str, str], httpx.Request]
    signature: str

    def __str__(self) -> str:
        return self.name


def _meta(client: httpx.AsyncClient, **options: Any) -> Provider:
    return WhatsAppProvider(client, path="/v25.0/1/messages", **options)


def _meta_callback(reference: str, message_id: str) -> httpx.Request:
    status = {"id": message_id, "status": "delivered", "timestamp": "1782216000", "biz_opaque_callback_data": reference}
    change = {"field": "messages", "value": {"statuses": [status]}}
    body = json.dumps({"entry": [{"id": "waba", "changes": [change]}]}).encode()
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return httpx.Request(
        "POST", "http://door/webhooks/whatsapp", content=body, headers={"x-hub-signature-256": signature}
    )


def _meta_refusal(code: int) -> tuple[int, Mapping[str, Any]]:
    return 400, {"error": {"code": code, "error_data": {"details": "why"}, "fbtrace_id": "trace"}}


META = Case(
    name="meta",
    make=_meta,
    message_id="wamid.HBgM",
    accepted={"messages": [{"id": "wamid.HBgM", "message_status": "accepted"}]},
    accepted_status=200,
    without_id=({}, {"messages": []}, {"messages": [{"id": ""}]}, {"messages": "SM"}),
    refusal=_meta_refusal,
    codes={
        ErrorClass.RETRY: 130429,
        ErrorClass.ACCOUNT: 190,
        ErrorClass.TEMPLATE: 132015,
        ErrorClass.RECIPIENT: 131026,
        ErrorClass.OURS: 100,
    },
    reference_in=lambda request: json.loads(request.content)["biz_opaque_callback_data"],
    recipient_in=lambda request: json.loads(request.content)["to"],
    callback=_meta_callback,
    signature="x-hub-signature-256",
)


def _twilio(client: httpx.AsyncClient, **options: Any) -> Provider:
    contents = {("invoice_overdue", "en"): Content("HX" + "b" * 32, {"1": "contact_name", "2": "amount"})}
    return TwilioProvider(
        client, account_sid=ACCOUNT_SID, number=OURS, contents=contents, callback_url=PUBLIC, **options
    )


def twilio_signature(url: str, form: Mapping[str, str], token: str = SECRET) -> str:
    """As Twilio describes it, written here once more."""
    text = url + "".join(name + form[name] for name in sorted(form))
    return b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def twilio_webhook(form: Mapping[str, str], query: str = "") -> httpx.Request:
    """A signed webhook as it arrives behind a proxy."""
    headers = {
        "x-twilio-signature": twilio_signature(f"{PUBLIC}{query}", form),
        "content-type": "application/x-www-form-urlencoded",
    }
    url = f"http://door/webhooks/twilio{query}"
    return httpx.Request("POST", url, content=urlencode(dict(form)).encode(), headers=headers)


def _twilio_callback(reference: str, message_id: str) -> httpx.Request:
    form = {
        "MessageSid": message_id,
        "MessageStatus": "delivered",
        "To": f"whatsapp:{MESSAGE.to}",
        "From": f"whatsapp:{OURS}",
    }
    return twilio_webhook(form, f"?ref={reference}")


def _twilio_refusal(code: int) -> tuple[int, Mapping[str, Any]]:
    status = {20003: 401, 20429: 429}.get(code, 400)
    return status, {"code": code, "message": f"no: {MESSAGE.to}", "more_info": "https://", "status": status}


def _form(request: httpx.Request) -> dict[str, str]:
    return dict(parse_qsl(request.content.decode(), keep_blank_values=True))


def _reference(request: httpx.Request) -> str | None:
    found = httpx.URL(_form(request)["StatusCallback"]).params.get("ref")
    return None if found is None else str(found)


TWILIO = Case(
    name="twilio",
    make=_twilio,
    message_id="SM" + "0" * 32,
    accepted={"sid": "SM" + "0" * 32, "status": "queued", "error_code": None},
    accepted_status=201,
    without_id=({}, {"sid": ""}, {"sid": None}, {"sid": "wamid.HBgM"}, {"sid": "SM1"}),
    refusal=_twilio_refusal,
    codes={
        ErrorClass.RETRY: 20429,
        ErrorClass.ACCOUNT: 20003,
        ErrorClass.TEMPLATE: 63016,
        ErrorClass.RECIPIENT: 63024,
        ErrorClass.OURS: 21656,
    },
    reference_in=_reference,
    recipient_in=lambda request: _form(request)["To"].removeprefix("whatsapp:"),
    callback=_twilio_callback,
    signature="x-twilio-signature",
)

CASES = (META, TWILIO)


def door(outbox: FakeOutbox) -> httpx.AsyncClient:
    """Ingress's public door with every provider's route, all signing with ``SECRET``."""
    figures = DoorFigures(CollectorRegistry())
    webhooks = Webhooks(
        AcceptWebhook(outbox, Lanes(TenantBursts(lambda: 0.0), figures.sorted_into).of), figures, lambda: NOON
    )

    def verify_twilio(body: bytes, signature: str | None, query: str) -> bool:
        url = f"{PUBLIC}?{query}" if query else PUBLIC
        return twilio_signature_matches(body, signature, url, ("another token", SECRET))

    routes = webhook_routes(
        webhooks,
        verify_xero=lambda body, signature: False,
        verify_whatsapp=partial(any_meta_signature_matches, app_secrets=("another app's", SECRET)),
        verify_token="word",
        verify_twilio=verify_twilio,
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://door")
