"""WhatsApp's webhook bodies and signature; pure functions."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.settings import Settings
from sandbox.whatsapp.graph import status_error
from sandbox.whatsapp.outbox import Message

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """One status or one inbound message on its way, with the contact it concerns."""

    list_name: str
    body: Json
    contact: Json | None = None


def sign(secret: str, body: bytes) -> str:
    """The `X-Hub-Signature-256`."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def user_id(number: str) -> str:
    """The business-scoped user id of a number."""
    return f"IN.{hashlib.sha256(number.encode()).hexdigest()[:20].upper()}"


def status_item(message: Message, status: str, at: datetime, settings: Settings, error: Json | None = None) -> Item:
    """A status of a message; a price comes with `sent` and `delivered`, an error with `failed`."""
    recipient = message.number.lstrip("+")
    body: Json = {
        "id": message.wamid,
        "status": status,
        "timestamp": str(int(at.timestamp())),
        "recipient_id": recipient,
    }
    if message.reference is not None:
        body["biz_opaque_callback_data"] = message.reference
    if status in {"sent", "delivered"}:
        category = "utility" if message.template else "service"
        body["pricing"] = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": category}
    if status == "failed":
        body["errors"] = [error or status_error(131026, "Message Undeliverable.")]
    contact = None
    if settings.send_user_ids:
        body["recipient_user_id"] = user_id(message.number)
        contact = {"wa_id": recipient, "user_id": user_id(message.number)}
    return Item("statuses", body, contact)


def inbound_item(message: Message, name: str, settings: Settings, context: str | None, button: Json | None) -> Item:
    """A customer's text, or a tap on a template's quick reply."""
    sender = message.number.lstrip("+")
    body: Json = {"from": sender, "id": message.wamid, "timestamp": str(int(message.time.timestamp()))}
    if context:
        body["context"] = {"from": settings.display_phone_number, "id": context}
    if button is None:
        body |= {"type": "text", "text": {"body": message.text}}
    else:
        body |= {"type": "button", "button": button}
    contact: Json = {"profile": {"name": name}, "wa_id": sender}
    if settings.send_user_ids:
        contact["user_id"] = user_id(message.number)
        body["from_user_id"] = user_id(message.number)
    return Item("messages", body, contact)


def payload(items: Sequence[Item], settings: Settings, per_change: int = 50, per_entry: int = 4) -> Json:
    """All items in one body, spread over changes of `per_change` items and entries of `per_entry` changes."""
    changes = [
        _change(items[start : start + per_change], settings) for start in range(0, max(1, len(items)), per_change)
    ]
    return {
        "object": "whatsapp_business_account",
        "entry": [
            {"id": settings.waba_id, "changes": changes[start : start + per_entry]}
            for start in range(0, len(changes), per_entry)
        ],
    }


def account_payload(field: str, value: Json, at: datetime, settings: Settings) -> Json:
    """One change that concerns the whole business account, not one of its numbers."""
    change = {"value": value, "field": field}
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": settings.waba_id, "time": int(at.timestamp()), "changes": [change]}],
    }


def encode(body: Json) -> bytes:
    """The bytes that are signed and sent; characters beyond ASCII are escaped, as Meta does."""
    return json.dumps(body, separators=(",", ":")).encode()


def _change(items: Sequence[Item], settings: Settings) -> Json:
    value: Json = {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": settings.display_phone_number,
            "phone_number_id": settings.phone_number_id,
        },
    }
    contacts = [item.contact for item in items if item.contact is not None]
    if contacts:
        value["contacts"] = contacts
    for item in items:
        value.setdefault(item.list_name, []).append(item.body)
    return {"value": value, "field": "messages"}
