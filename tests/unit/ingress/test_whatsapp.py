"""What is made of Meta's webhook body."""

import json
from typing import Any

from ingress.whatsapp import read_whatsapp
from shared.contracts.whatsapp import WhatsAppTemplateChangedV1, WhatsAppUpdateKind, WhatsAppUpdateReceivedV1
from support.builders import NOON

STATUS = {
    "id": "wamid.A",
    "status": "delivered",
    "timestamp": "1782216000",
    "recipient_id": "919876543210",
    "biz_opaque_callback_data": "v1.attempt",
}
STOP = {
    "from": "919876543210",
    "id": "wamid.B",
    "timestamp": "1782216001",
    "type": "button",
    "button": {"payload": "stop", "text": "Stop reminders"},
    "context": {"id": "wamid.A"},
}


def body(*values: dict[str, Any], field: str = "messages") -> bytes:
    changes = [{"field": field, "value": {"metadata": {"phone_number_id": "111"}, **value}} for value in values]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "waba", "changes": changes}]}).encode()


def updates(raw: bytes) -> list[WhatsAppUpdateReceivedV1]:
    contents = read_whatsapp(raw, NOON)
    assert contents.unreadable == ()
    return [event for event in contents.events if isinstance(event, WhatsAppUpdateReceivedV1)]


def test_every_status_and_message_of_every_change_of_every_entry_is_an_update() -> None:
    payload = json.loads(body({"statuses": [STATUS, STATUS | {"status": "read"}]}, {"messages": [STOP]}))
    payload["entry"].append(payload["entry"][0])
    kinds = [update.kind for update in updates(json.dumps(payload).encode())]
    assert kinds == [WhatsAppUpdateKind.STATUS, WhatsAppUpdateKind.STATUS, WhatsAppUpdateKind.MESSAGE] * 2


def test_a_status_says_of_which_message_and_for_which_attempt() -> None:
    (update,) = updates(body({"statuses": [STATUS]}))
    assert (update.provider_message_id, update.reference, update.status) == ("wamid.A", "v1.attempt", "delivered")
    assert (update.person_phone, update.phone_number_id) == ("+919876543210", "111")
    assert update.raw == STATUS


def test_a_button_says_what_was_pressed_and_on_which_message() -> None:
    (update,) = updates(body({"messages": [STOP]}))
    assert (update.text, update.button_payload, update.reply_to) == ("Stop reminders", "stop", "wamid.A")


def test_a_person_without_a_number_is_known_by_the_user_id() -> None:
    (update,) = updates(
        body(
            {
                "messages": [
                    {"id": "wamid.C", "timestamp": "1782216001", "from_user_id": "IN.abc", "text": {"body": "STOP"}}
                ]
            }
        )
    )
    assert (update.person_phone, update.person_user_id, update.text) == (None, "IN.abc", "STOP")


def test_a_repeated_delivery_has_the_same_id() -> None:
    (first,), (again,) = updates(body({"statuses": [STATUS]})), updates(body({"statuses": [STATUS]}))
    assert first.update_id == again.update_id


def test_what_is_not_understood_is_kept_beside_what_is() -> None:
    nested: Any = {}
    for _ in range(400):
        nested = {"in": nested}
    odd: list[Any] = [{"id": "wamid.D"}, STATUS | {"timestamp": "9" * 30}, "text", STATUS | {"nested": nested}]
    contents = read_whatsapp(body({"statuses": [STATUS, *odd]}), NOON)
    assert len(contents.events) == 1
    assert [piece.reason for piece in contents.unreadable] == ["unreadable_status"] * 4
    cut = STOP | {"text": {"body": "\ud83d"}}
    half = read_whatsapp(body({"messages": [cut, STOP]}), NOON)
    assert (len(half.events), [piece.reason for piece in half.unreadable]) == (1, ["unreadable_message"])
    strange = read_whatsapp(b'{"entry": ["x", {"changes": [7]}]}', NOON)
    assert [piece.reason for piece in strange.unreadable] == ["unknown_change", "unknown_change"]
    other = read_whatsapp(body({"event": "VERIFIED_ACCOUNT"}, field="account_update"), NOON)
    assert [piece.reason for piece in other.unreadable] == ["unknown_change"]
    assert read_whatsapp(b"[]", NOON).unreadable[0].reason == "unreadable_webhook"


def template_changes(field: str, value: dict[str, Any]) -> tuple[list[WhatsAppTemplateChangedV1], list[str]]:
    named = {"message_template_id": 7, "message_template_name": "invoice_paid", "message_template_language": "en-GB"}
    entry = {"id": "waba", "time": 1782216000, "changes": [{"field": field, "value": named | value}]}
    contents = read_whatsapp(json.dumps({"entry": [entry]}).encode(), NOON)
    changes = [event for event in contents.events if isinstance(event, WhatsAppTemplateChangedV1)]
    return changes, [piece.reason for piece in contents.unreadable]


def test_what_becomes_of_a_template_is_an_event_of_its_own() -> None:
    status = {"event": "PAUSED", "reason": "NONE", "message_template_category": "UTILITY"}
    (paused,), _ = template_changes("message_template_status_update", status)
    assert (paused.name, paused.language, paused.template_id, paused.account_id) == (
        "invoice_paid",
        "en-GB",
        "7",
        "waba",
    )
    assert (paused.status_event, paused.category, paused.happened_at.timestamp()) == ("PAUSED", "UTILITY", 1782216000)
    moved = {"previous_category": "UTILITY", "new_category": "MARKETING"}
    (category,), _ = template_changes("template_category_update", moved)
    assert (category.status_event, category.category) == (None, "MARKETING")
    (quality,), _ = template_changes("message_template_quality_update", {"new_quality_score": "RED"})
    assert (quality.quality, quality.status_event) == ("RED", None)
    assert template_changes("message_template_status_update", status)[0] == [paused]


def test_a_template_s_news_without_its_name_is_kept() -> None:
    assert template_changes("message_template_status_update", {"message_template_name": None})[0] == []
    other = read_whatsapp(body({"event": "APPROVED"}, field="message_template_status_update"), NOON)
    assert [piece.reason for piece in other.unreadable] == ["unreadable_template"]
