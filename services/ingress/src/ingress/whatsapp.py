"""Meta's webhook body: every status and message of every change of every entry."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from uuid import NAMESPACE_URL, uuid5

from ingress.payloads import Contents, Json, Piece, Unreadable, encoded, load_object, objects, read_pieces
from shared.contracts.whatsapp import WhatsAppTemplateChangedV1, WhatsAppUpdateKind, WhatsAppUpdateReceivedV1

SOURCE = "webhooks/whatsapp"
_TEMPLATE_FIELDS = {
    "message_template_status_update",
    "template_category_update",
    "message_template_quality_update",
}


def read_whatsapp(body: bytes, received_at: datetime) -> Contents:
    """Up to a thousand updates in one body; nothing is said of their order or of repetition."""
    payload = load_object(body)
    if payload is None or not isinstance(payload.get("entry"), list):
        return Contents(SOURCE, unreadable=(Unreadable(body, "unreadable_webhook"),))
    pieces: list[Piece] = []
    other: list[Unreadable] = []
    for entry in objects(payload.get("entry")):
        for change in objects(entry.get("changes", entry)):
            value = change.get("value")
            if change.get("field") == "messages" and isinstance(value, dict):
                pieces.extend(_pieces(value, received_at))
                other.extend(Unreadable(encoded(item), "account_error") for item in objects(value.get("errors")))
            elif change.get("field") in _TEMPLATE_FIELDS and isinstance(value, dict):
                read = partial(_template, change, value, entry, received_at)
                pieces.append(Piece(change, "unreadable_template", read))
            else:
                other.append(Unreadable(encoded(change), "unknown_change"))
    events, unreadable = read_pieces(pieces)
    return Contents(SOURCE, events, (*other, *unreadable))


def _pieces(value: Json, received_at: datetime) -> Iterator[Piece]:
    metadata = value.get("metadata")
    number = metadata.get("phone_number_id") if isinstance(metadata, dict) else None
    for kind, name in ((WhatsAppUpdateKind.STATUS, "statuses"), (WhatsAppUpdateKind.MESSAGE, "messages")):
        for item in objects(value.get(name)):
            yield Piece(item, f"unreadable_{kind}", partial(_update, kind, item, number, received_at))


def _update(
    kind: WhatsAppUpdateKind, item: Json, number: str | None, received_at: datetime
) -> WhatsAppUpdateReceivedV1:
    is_status = kind is WhatsAppUpdateKind.STATUS
    status = str(item["status"]) if is_status else None
    written = str(item["timestamp"])
    return WhatsAppUpdateReceivedV1(
        update_id=str(uuid5(NAMESPACE_URL, f"{kind}\n{item['id']}\n{status}\n{written}")),
        kind=kind,
        phone_number_id=number,
        provider_message_id=str(item["id"]),
        happened_at=datetime.fromtimestamp(int(written), UTC),
        received_at=received_at,
        status=status,
        reference=item.get("biz_opaque_callback_data"),
        person_phone=_e164(item.get("recipient_id" if is_status else "from")),
        person_user_id=item.get("recipient_user_id" if is_status else "from_user_id"),
        text=_text(item),
        button_payload=_payload(item),
        reply_to=_inside(item, "context", "id"),
        raw=dict(item),
    )


def _template(change: Json, value: Json, entry: Json, received_at: datetime) -> WhatsAppTemplateChangedV1:
    name, language = value["message_template_name"], value["message_template_language"]
    status = value.get("event") if change["field"] == "message_template_status_update" else None
    category = value.get("new_category") or value.get("message_template_category")
    written = str(entry.get("time", ""))
    told = f"{change['field']}\n{name}\n{language}\n{status}\n{category}\n{written}"
    return WhatsAppTemplateChangedV1(
        change_id=str(uuid5(NAMESPACE_URL, told)),
        account_id=str(entry["id"]) if entry.get("id") else None,
        template_id=str(value["message_template_id"]) if value.get("message_template_id") else None,
        name=name,
        language=language,
        happened_at=datetime.fromtimestamp(int(written), UTC) if written else received_at,
        received_at=received_at,
        status_event=status,
        category=category,
        quality=value.get("new_quality_score"),
        reason=value.get("reason"),
        raw=dict(change),
    )


def _e164(number: object) -> str | None:
    digits = str(number or "").lstrip("+")
    return f"+{digits}" if digits.isascii() and digits.isdigit() else None


def _text(item: Json) -> str | None:
    interactive = item.get("interactive")
    return (
        _inside(item, "text", "body")
        or _inside(item, "button", "text")
        or (_inside(interactive, "button_reply", "title") if isinstance(interactive, dict) else None)
    )


def _payload(item: Json) -> str | None:
    interactive = item.get("interactive")
    return _inside(item, "button", "payload") or (
        _inside(interactive, "button_reply", "id") if isinstance(interactive, dict) else None
    )


def _inside(item: Json, outer: str, inner: str) -> str | None:
    value = item.get(outer)
    found = value.get(inner) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
