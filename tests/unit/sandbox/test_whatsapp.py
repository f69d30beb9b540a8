"""The Cloud API: what it takes and refuses, templates, statuses and inbound messages."""

import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest

from sandbox.whatsapp.templates import Templates
from unit.sandbox.playing import BEARER, Clock, Double

MESSAGES = "/v25.0/100000000000001/messages"
TEMPLATES = "/v25.0/200000000000001/message_templates"
URL = "http://receiver/webhooks/whatsapp"
NAMES = ("contact_name", "organisation_name", "invoice_number", "amount", "due_date")


def message(name: str = "invoice_overdue", language: str = "en", **values: Any) -> dict[str, Any]:
    texts = {key: f"a {key}" for key in NAMES} | values
    parameters = [{"type": "text", "parameter_name": key, "text": text} for key, text in texts.items()]
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+919876543210",
        "type": "template",
        "biz_opaque_callback_data": "v1.reference",
        "template": {
            "name": name,
            "language": {"code": language},
            "components": [{"type": "body", "parameters": parameters}],
        },
    }


async def send(double: Double, body: Any, **headers: str) -> httpx.Response:
    return await double.http.post(MESSAGES, json=body, headers=BEARER | headers)


async def wamid(double: Double) -> str:
    return str((await send(double, message())).json()["messages"][0]["id"])


async def test_every_post_is_a_message_of_its_own(double: Double) -> None:
    first, second = await send(double, message()), await send(double, message())
    assert first.status_code == 200
    assert first.json()["contacts"] == [{"input": "+919876543210", "wa_id": "919876543210"}]
    assert first.json()["messages"][0]["message_status"] == "accepted"
    assert first.json()["messages"][0]["id"] != second.json()["messages"][0]["id"]
    summary = await double.admin.summary()
    assert summary["messages_accepted"] == 2
    assert summary["messages_per_reference"] == {"v1.reference": 2}
    entry = (await double.admin.journal("whatsapp.message"))[0]
    assert (entry["to"], entry["template"], entry["parameters"]["amount"]) == (
        "+919876543210", "invoice_overdue", "a amount",
    )  # fmt: skip
    assert "a invoice_number" in entry["text"]


def changed(path: str, value: Any) -> dict[str, Any]:
    body = message()
    *parents, last = path.split(".")
    target: Any = body
    for key in parents:
        target = target[int(key) if key.isdigit() else key]
    if value is None:
        del target[last]
    else:
        target[int(last) if last.isdigit() else last] = value
    return body


PARAMETERS = "template.components.0.parameters"


@pytest.mark.parametrize(
    ("path", "value", "code", "status"),
    [
        ("messaging_product", None, 100, 400),
        ("recipient_type", None, 100, 400),
        ("to", None, 131008, 400),
        ("to", "919876543210", 131009, 400),
        ("to", "+91 98765 43210", 131009, 400),
        ("to", "+15550100001", 131021, 400),
        ("type", "sticker", 131051, 400),
        ("idempotency_key", "x", 100, 400),
        ("biz_opaque_callback_data", "x" * 513, 100, 400),
        ("template", None, 131008, 400),
        ("template.name", "invoice_unknown", 132001, 404),
        ("template.language.code", "ta", 132001, 404),
        ("template.colour", "red", 100, 400),
        ("template.components", [], 132000, 400),
        (PARAMETERS, [], 132000, 400),
        (f"{PARAMETERS}.0.parameter_name", "customer", 132012, 400),
        (f"{PARAMETERS}.0.parameter_name", "amount", 132012, 400),
        (f"{PARAMETERS}.0.parameter_name", None, 132012, 400),
        (f"{PARAMETERS}.0.type", "currency", 132012, 400),
        (f"{PARAMETERS}.0.text", "", 131008, 400),
        (f"{PARAMETERS}.0.text", "two\nlines", 132018, 400),
        (f"{PARAMETERS}.0.text", "a\ttab", 132018, 400),
        (f"{PARAMETERS}.0.text", "five     spaces", 132018, 400),
        (f"{PARAMETERS}.0.text", "x" * 1000, 132005, 400),
        (f"{PARAMETERS}.0.bold", True, 100, 400),
    ],
)
async def test_what_is_refused(double: Double, path: str, value: Any, code: int, status: int) -> None:
    answer = await send(double, changed(path, value))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error.keys() >= {"message", "type", "code", "error_data", "fbtrace_id"}
    assert (await double.admin.summary())["messages_accepted"] == 0
    assert [entry["code"] for entry in await double.admin.journal("whatsapp.refused")] == [code]


async def test_four_spaces_and_512_characters_are_fine(double: Double) -> None:
    body = message(contact_name="four    spaces") | {"biz_opaque_callback_data": "x" * 512}
    assert (await send(double, body)).status_code == 200


async def test_bearer_version_and_number_are_checked(double: Double) -> None:
    wrong = await send(double, message(), authorization="Bearer other")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, 190)
    old = await double.http.post("/v19.0/100000000000001/messages", json=message(), headers=BEARER)
    assert old.json()["error"]["code"] == 2635
    other = await double.http.post("/v25.0/5/messages", json=message(), headers=BEARER)
    assert (other.json()["error"]["code"], other.json()["error"]["error_subcode"]) == (100, 33)
    nothing = await double.http.post("/latest/100000000000001/messages", json=message(), headers=BEARER)
    assert nothing.status_code == 404


@pytest.mark.parametrize(("status", "code"), [("PAUSED", 132015), ("DISABLED", 132016), ("PENDING", 132001)])
async def test_only_approved_templates_can_be_sent(double: Double, status: str, code: int) -> None:
    await double.admin.template_status("invoice_overdue", status)
    assert (await send(double, message())).json()["error"]["code"] == code


def test_the_preloaded_templates_are_complete() -> None:
    known = Templates.preloaded(Clock()).known
    assert len(known) == 32
    stages = ("issued", "due_soon", "due_today", "overdue", "overdue_firm", "overdue_final")
    for language in ("en", "hi"):
        assert sorted(known["invoice_paid", language].variables) == sorted(NAMES[:4])
        assert sorted(known["invoice_paid_with_link", language].variables) == sorted([*NAMES[:4], "link"])
        for stage in stages:
            assert sorted(known[f"invoice_{stage}", language].variables) == sorted(NAMES)
            assert sorted(known[f"invoice_{stage}_with_link", language].variables) == sorted([*NAMES, "link"])
    for template in known.values():
        assert not template.body.startswith("{{")
        assert not template.body.endswith("}}")
        assert (template.status, template.category) == ("APPROVED", "UTILITY")


async def test_templates_are_listed_in_pages(double: Double) -> None:
    first = (await double.http.get(TEMPLATES, params={"limit": 20}, headers=BEARER)).json()
    second = (await double.http.get(first["paging"]["next"], headers=BEARER)).json()
    assert (len(first["data"]), len(second["data"])) == (20, 12)
    assert "next" not in second["paging"]
    one = await double.http.get(TEMPLATES, params={"name": "invoice_paid", "fields": "name,status"}, headers=BEARER)
    assert [set(row) for row in one.json()["data"]] == [{"id", "name", "status"}] * 4


async def test_templates_can_be_made_and_removed(double: Double) -> None:
    body = {"type": "BODY", "text": "Hello {{who}}, good day.", "example": {"body_text_named_params": [
        {"param_name": "who", "example": "Asha"}]}}  # fmt: skip
    asked = {"name": "greeting", "language": "en", "category": "UTILITY", "parameter_format": "named",
             "components": [{"type": "HEADER", "format": "DOCUMENT"}, body]}  # fmt: skip
    made = await double.http.post(TEMPLATES, json=asked, headers=BEARER)
    assert made.json()["status"] == "APPROVED"
    refused = await double.http.post(TEMPLATES, json=asked, headers=BEARER)
    assert refused.json()["error"]["error_subcode"] == 2388024
    ends = asked | {"name": "ends", "components": [body | {"text": "Hello {{who}}"}]}
    assert (await double.http.post(TEMPLATES, json=ends, headers=BEARER)).status_code == 400
    upload = {"file": ("a.pdf", b"%PDF-1.4", "application/pdf")}
    media = await double.http.post(
        "/v25.0/100000000000001/media", data={"messaging_product": "whatsapp"}, files=upload, headers=BEARER
    )
    document = {"type": "document", "document": {"id": media.json()["id"], "filename": "INV-1.pdf"}}
    sent = message()
    sent["template"] = {"name": "greeting", "language": {"code": "en"}, "components": [
        {"type": "header", "parameters": [document]},
        {"type": "body", "parameters": [{"type": "text", "parameter_name": "who", "text": "Asha"}]}]}  # fmt: skip
    assert (await send(double, sent)).status_code == 200
    document["document"] = {"id": "unknown"}
    assert (await send(double, sent)).json()["error"]["code"] == 131009
    gone = await double.http.delete(TEMPLATES, params={"name": "greeting"}, headers=BEARER)
    assert gone.json() == {"success": True}
    assert (await send(double, sent)).json()["error"]["code"] == 132001


async def test_phone_number_fields(double: Double) -> None:
    answer = await double.http.get("/v25.0/100000000000001?fields=quality_rating,health_status", headers=BEARER)
    assert answer.json()["quality_rating"] == "GREEN"
    assert answer.json()["health_status"]["can_send_message"] == "AVAILABLE"
    listed = (await double.http.get(TEMPLATES, headers=BEARER)).json()["data"][0]
    assert (await double.http.get(f"/v25.0/{listed['id']}", headers=BEARER)).json() == listed
    unknown = await double.http.get("/v25.0/7", headers=BEARER)
    assert unknown.json()["error"]["error_subcode"] == 33


async def test_one_customer_gets_no_more_than_the_pair_rate(double: Double) -> None:
    await double.admin.settings(pair_burst=2, pair_seconds=6)
    codes = [(await send(double, message())).status_code for _ in range(3)]
    assert codes == [200, 200, 400]
    double.clock.forward(6)
    assert (await send(double, message())).status_code == 200


async def test_throughput(double: Double) -> None:
    await double.admin.settings(messages_per_second=1)
    assert (await send(double, message())).status_code == 200
    assert (await send(double, message())).json()["error"]["code"] == 130429


async def test_text_needs_an_open_window(double: Double) -> None:
    text = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": "+919876543210", "type": "text",
            "text": {"body": "You will get no more reminders."}}  # fmt: skip
    assert (await send(double, text)).json()["error"]["code"] == 131047
    await double.admin.inbound("+919876543210")
    sent = await send(double, text)
    assert sent.status_code == 200
    await double.admin.settings(whatsapp_webhook_url=URL)
    await double.admin.status(sent.json()["messages"][0]["id"], "delivered")
    [status] = double.receiver.bodies()[-1]["entry"][0]["changes"][0]["value"]["statuses"]
    assert status["pricing"]["category"] == "service"


async def test_statuses_are_signed_and_carry_the_reference(double: Double) -> None:
    await double.admin.settings(whatsapp_webhook_url=URL)
    sent = await wamid(double)
    assert [row["status"] for row in await double.admin.status(sent, "delivered", copies=2)] == [200, 200]
    request = double.receiver.requests[-1]
    digest = hmac.new(b"sandbox-app-secret", request.content, hashlib.sha256).hexdigest()
    assert request.headers["x-hub-signature-256"] == f"sha256={digest}"
    body = json.loads(request.content)
    [status] = body["entry"][0]["changes"][0]["value"]["statuses"]
    assert body["object"] == "whatsapp_business_account"
    assert (status["id"], status["status"], status["biz_opaque_callback_data"]) == (sent, "delivered", "v1.reference")
    assert status["recipient_id"] == "919876543210"
    await double.admin.status(sent, "failed", error={"code": 131026})
    [failed] = double.receiver.bodies()[-1]["entry"][0]["changes"][0]["value"]["statuses"]
    assert failed["errors"][0]["code"] == 131026


async def test_many_statuses_are_spread_over_entries_and_changes(double: Double) -> None:
    await double.admin.settings(whatsapp_webhook_url=URL)
    sent = await wamid(double)
    await double.admin.statuses([(sent, "sent"), (sent, "delivered"), (sent, "read")] * 5, per_change=2)
    [body] = double.receiver.bodies()
    assert [len(entry["changes"]) for entry in body["entry"]] == [4, 4]
    items = [item for entry in body["entry"] for change in entry["changes"] for item in change["value"]["statuses"]]
    assert len(items) == 15


async def test_inbound_texts_and_taps(double: Double) -> None:
    await double.admin.settings(whatsapp_webhook_url=URL, send_user_ids=True)
    await double.admin.inbound("+919876543210", "stop", name="Asha")
    value = double.receiver.bodies()[-1]["entry"][0]["changes"][0]["value"]
    assert (value["messages"][0]["from"], value["messages"][0]["text"]) == ("919876543210", {"body": "stop"})
    assert value["contacts"][0]["user_id"].startswith("IN.")
    await double.admin.inbound("+919876543210", "Stop reminders", payload="stop.1", context="wamid.X")
    [tap] = double.receiver.bodies()[-1]["entry"][0]["changes"][0]["value"]["messages"]
    assert (tap["type"], tap["button"]["payload"], tap["context"]["id"]) == ("button", "stop.1", "wamid.X")


async def test_verification(double: Double) -> None:
    await double.admin.settings(whatsapp_webhook_url=URL)
    assert await double.admin.verify_whatsapp() == {"ok": True, "problems": [], "statuses": [200, 403]}
    await double.admin.settings(verify_token="other")
    assert not (await double.admin.verify_whatsapp())["ok"]
