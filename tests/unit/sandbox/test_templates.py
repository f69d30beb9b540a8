"""The management API: how often templates may be made and edited, what stays, and who is told."""

from typing import Any

import pytest

from unit.sandbox.playing import BEARER, Double

TEMPLATES = "/v25.0/200000000000001/message_templates"
BODY = {"type": "BODY", "text": "Hello {{who}}, good day to you.", "example": {"body_text_named_params": [
    {"param_name": "who", "example": "Asha"}]}}  # fmt: skip


def definition(name: str = "greeting", **changes: Any) -> dict[str, Any]:
    asked = {"name": name, "language": "en", "category": "UTILITY", "parameter_format": "NAMED", "components": [BODY]}
    return asked | changes


async def post(double: Double, path: str, asked: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await double.http.post(path, json=asked, headers=BEARER)).json()
    return answer


def quick(*labels: str) -> dict[str, Any]:
    return {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": label} for label in labels]}


@pytest.mark.parametrize(
    "components",
    [
        [],
        [BODY, BODY],
        [BODY, quick("x" * 26)],
        [BODY, quick(*"abcdefghijk")],
        [BODY, {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "See", "url": "https://x"}] * 3}],
        [BODY, {"type": "FOOTER", "text": "x" * 61}],
        [BODY, {"type": "CAROUSEL"}],
        [BODY | {"example": {}}],
        [BODY | {"text": "{{who}}, hello and good day to you"}],
        [BODY | {"text": "Hello, {{who}}."}],
        [BODY | {"text": "Hello {{who}}"}],
    ],
)
async def test_what_is_no_template(double: Double, components: list[dict[str, Any]]) -> None:
    assert (await post(double, TEMPLATES, definition(components=components)))["error"]["code"] == 100


async def test_an_approved_template_is_edited_once_a_day_and_ten_times_a_month(double: Double) -> None:
    made = await post(double, TEMPLATES, definition())
    path = f"/v25.0/{made['id']}"
    outcomes = []
    for day in range(12):
        edited = BODY | {"text": f"Hello {{{{who}}}}, good day number {day}."}
        outcomes.append((await post(double, path, {"components": [edited]})).get("success"))
        assert "error" in await post(double, path, {"components": [BODY]})
        double.clock.forward(86_401)
    assert outcomes == [True] * 10 + [None] * 2
    assert "error" in await post(double, path, {"components": [BODY], "category": "MARKETING"})
    assert "error" in await post(double, path, {"components": [BODY], "name": "other"})


async def test_what_is_in_review_cannot_be_edited_and_what_was_rejected_goes_there_again(double: Double) -> None:
    await double.admin.settings(template_review="hold", template_category="MARKETING")
    made = await post(double, TEMPLATES, definition())
    assert (made["status"], made["category"]) == ("PENDING", "MARKETING")
    path = f"/v25.0/{made['id']}"
    assert "error" in await post(double, path, {"components": [BODY]})
    await double.admin.change_template("greeting", status="REJECTED", reason="PROMOTIONAL")
    shown = (await double.http.get(f"{path}?fields=status,rejected_reason", headers=BEARER)).json()
    assert (shown["status"], shown["rejected_reason"]) == ("REJECTED", "PROMOTIONAL")
    assert (await post(double, path, {"components": [BODY], "category": "UTILITY"}))["success"] is True
    shown = (await double.http.get(f"{path}?fields=status,category", headers=BEARER)).json()
    assert (shown["status"], shown["category"]) == ("PENDING", "UTILITY")


async def test_a_hundred_are_made_in_an_hour_and_a_deleted_name_is_blocked(double: Double) -> None:
    for number in range(100):
        assert "id" in await post(double, TEMPLATES, definition(f"greeting_{number}"))
    assert (await post(double, TEMPLATES, definition("one_more")))["error"]["code"] == 80007
    double.clock.forward(3600)
    assert "id" in await post(double, TEMPLATES, definition("one_more"))
    await double.http.delete(TEMPLATES, params={"name": "one_more"}, headers=BEARER)
    assert "error" in await post(double, TEMPLATES, definition("one_more"))
    double.clock.forward(30 * 86_400)
    assert "id" in await post(double, TEMPLATES, definition("one_more"))


async def test_lists_are_strict_about_fields_cursors_and_rights(double: Double) -> None:
    for query in ("fields=colour", "after=nowhere", "limit=0"):
        refused = (await double.http.get(f"{TEMPLATES}?{query}", headers=BEARER)).json()
        assert refused["error"]["code"] == 100
    row = (await double.http.get(f"{TEMPLATES}?limit=1", headers=BEARER)).json()["data"][0]
    assert "quality_score" not in row
    await double.admin.settings(manage_templates=False)
    assert (await double.http.get(TEMPLATES, headers=BEARER)).json()["error"]["code"] == 200


async def test_what_meta_does_to_a_template_is_told_by_webhook(double: Double) -> None:
    await double.admin.settings(whatsapp_webhook_url="http://receiver/webhooks/whatsapp")
    await double.admin.change_template(
        "invoice_paid", language="en", status="PAUSED", category="MARKETING", quality="RED"
    )
    changes = [body["entry"][0]["changes"][0] for body in double.receiver.bodies()]
    assert [change["field"] for change in changes] == [
        "message_template_status_update", "template_category_update", "message_template_quality_update",
    ]  # fmt: skip
    assert changes[0]["value"]["event"] == "PAUSED"
    assert (changes[1]["value"]["previous_category"], changes[1]["value"]["new_category"]) == ("UTILITY", "MARKETING")
    shown = (await double.http.get(f"{TEMPLATES}?name=invoice_paid&fields=quality_score", headers=BEARER)).json()
    assert shown["data"][0]["quality_score"]["score"] == "RED"
    unpaused = await post(double, f"/v25.0/{shown['data'][0]['id']}/unpause", {})
    assert unpaused == {"success": True}
