"""From a webhook to a customer's telephone, on real processes, with the sandbox as the judge."""

import asyncio
import base64
import hashlib
import hmac
import json
import random
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from support.town import Town, next_month, today
from support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


RECEIVED = "fetcher.xero.event.received.v1"
ENRICHED = "notifier.invoice.enriched.v1"


def created(tenant: str, invoice: dict[str, Any]) -> dict[str, Any]:
    return {"tenant_id": tenant, "resource_id": invoice["invoice_id"], "type": "CREATE"}


async def test_an_issued_invoice_becomes_one_right_message_and_its_statuses_are_learnt(town: Town) -> None:
    tenant = await town.organisation(name="Meera Textiles", country="IN")
    contact = await town.sandbox.contact(tenant, "Asha Traders", phone="98765 43210")
    invoice = await town.sandbox.invoice(
        tenant, contact["contact_id"], issue_date=today(), due_date=today() + timedelta(days=14), total="12500.00"
    )
    (message,) = await eventually(town.sandbox.messages, seconds=20, what="the alert")
    assert (message["number"], message["template"], message["language"]) == ("+919876543210", "invoice_issued", "en")
    assert message["parameters"]["contact_name"] == "Asha Traders"
    assert message["parameters"]["invoice_number"] == invoice["invoice_number"]
    assert message["parameters"]["amount"] == "INR 12,500.00"
    for status in ("read", "delivered", "sent"):
        assert [answer["status"] for answer in await town.sandbox.status(message["wamid"], status)] == [200]

    async def read() -> bool:
        return bool((await town.decisions(tenant))[0]["state"] == "read")

    await eventually(read, what="the state read")


async def test_the_same_event_many_times_at_once_sends_once(town: Town) -> None:
    tenant = await town.organisation()
    (invoice,) = await town.invoices(tenant, 1)
    before = await town.handled(ENRICHED)
    answers = await town.sandbox.send_events([created(tenant, invoice)], copies=20, batch=1, concurrency=20)
    assert {answer["status"] for answer in answers} == {200}

    async def all_decided() -> bool:
        return await town.handled(ENRICHED) == before + 20

    await eventually(all_decided, seconds=30, what="twenty decisions")
    await eventually(town.sent, seconds=20)
    assert await town.sent() == {invoice["invoice_number"]: 1}


async def test_a_book_of_all_sorts_reminds_exactly_the_right_people(town: Town) -> None:
    harbour = {"name": "Harbour Supplies", "country": "AU", "timezone": "AUSEASTERNSTANDARDTIME", "currency": "AUD"}
    tenant = await town.organisation(**harbour)
    book = await town.sandbox.book(tenant, today("Australia/Sydney"))
    await town.command("scan", tenant)
    expected = {row["invoice_number"]: (row["phone"], row["template"]) for row in book if row["expect"] == "remind"}

    async def complete() -> bool:
        return len(await town.sent()) >= len(expected)

    await eventually(complete, seconds=30, what="the reminders")
    decided = await town.handled(ENRICHED)
    await town.command("scan", tenant)

    async def decided_again() -> bool:
        return await town.handled(ENRICHED) >= decided + len(expected)

    await eventually(decided_again, seconds=30, what="the second scan's decisions")
    messages = await town.sandbox.messages()
    found = {row["parameters"]["invoice_number"]: (row["number"], row["template"]) for row in messages}
    assert found == expected
    assert len(messages) == len(expected)
    summary = await town.sandbox.summary()
    assert (summary["breaches"], summary["messages_refused"], summary["token_reuse"]) == (0, 0, 0)


async def test_a_thousand_forged_webhooks_are_refused(town: Town) -> None:
    rng = random.Random(20261122)
    before = await town.handled(RECEIVED)
    event = {"tenantId": "t", "resourceId": "i", "eventCategory": "INVOICE", "eventType": "CREATE"}
    body = json.dumps({"events": [event]})
    url = f"{town.stack.url('ingress')}/webhooks/xero"

    def forged() -> tuple[bytes, dict[str, str]]:
        key = rng.choice(["another key", "", "sandbox-webhook-kez"])
        signature = base64.b64encode(hmac.digest(key.encode(), body.encode(), hashlib.sha256)).decode()
        kind = rng.randrange(4)
        headers = [{"x-xero-signature": signature}, {}, {"x-xero-signature": ""}, {"x-xero-signature": signature[:-1]}]
        return body.encode() + b" " * rng.randrange(3), headers[kind]

    async def attack() -> tuple[int, bytes, bool]:
        content, headers = forged()
        answer = await town.http.post(url, content=content, headers=headers)
        return answer.status_code, answer.content, "set-cookie" in answer.headers

    for _ in range(20):
        answers = await asyncio.gather(*(attack() for _ in range(50)))
        assert set(answers) == {(401, b"", False)}
    assert await town.handled(RECEIVED) == before


async def test_a_scan_of_an_organisation_that_is_not_connected_is_refused_in_words(town: Town) -> None:
    with pytest.raises(AssertionError, match="is not a connected organisation"):
        await town.command("scan", str(uuid4()))


async def test_handshakes_of_both_sides_succeed(town: Town) -> None:
    assert (await town.sandbox.handshake())["ok"]
    assert (await town.sandbox.verify_whatsapp())["ok"]


async def test_signed_garbage_and_unknown_tenants_are_kept(town: Town) -> None:
    unknown = {"tenant_id": str(uuid4()), "resource_id": str(uuid4())}
    answers = await town.sandbox.send_events(raw="no json at all") + await town.sandbox.send_events([unknown])
    assert [answer["status"] for answer in answers] == [200, 200]

    async def kept() -> bool:
        reasons = {letter["reason"] for letter in await town.dead_letters()}
        return {"unreadable_webhook", "unknown_tenant"} <= reasons

    await eventually(kept, seconds=30, what="the dead letters")


async def test_an_opt_out_is_honoured_at_once(town: Town) -> None:
    tenant = await town.organisation()
    contact = await town.sandbox.contact(tenant, "Asha Traders", phone="98765 43210")
    await town.sandbox.invoice(tenant, contact["contact_id"], issue_date=today(), due_date=next_month())
    await eventually(town.sandbox.messages, seconds=20)
    await town.sandbox.inbound("+919876543210", "STOP")
    second = await town.sandbox.invoice(tenant, contact["contact_id"], issue_date=today(), due_date=next_month())

    async def decided() -> Any:
        return [row for row in await town.decisions(tenant) if row["invoice_number"] == second["invoice_number"]]

    (decision,) = await eventually(decided, seconds=20)
    assert (decision["verdict"], decision["rule"]) == ("skip", "opted_out")
    assert sum((await town.sent()).values()) == 1
    await town.sandbox.inbound("+919876543210", "STOP")
    (text,) = await eventually(town.texts, seconds=60, what="the confirmation")
    assert "START" in text


async def test_one_correlation_id_leads_from_the_webhook_to_the_message(town: Town) -> None:
    tenant = await town.organisation()
    (invoice,) = await town.invoices(tenant, 1)
    await town.sandbox.send_events([created(tenant, invoice)])
    await eventually(town.sent, seconds=20)

    def trail() -> set[str]:
        lines = [
            (name.rpartition("-")[0], json.loads(line))
            for name, text in town.logs().items()
            for line in text.splitlines()
            if line.startswith("{")
        ]
        ours = {
            line["correlation_id"]
            for _, line in lines
            if line.get("invoice_id") == invoice["invoice_id"] and line.get("now") == "accepted"
        }
        return {name for name, line in lines if line.get("correlation_id") in ours}

    await eventually(lambda: trail() >= {"ingress", "fetcher", "notifier"}, what="the id in three services' logs")


async def test_no_log_holds_a_token_a_secret_or_a_number(town: Town) -> None:
    """Runs after the others: their tokens and numbers are what it looks for."""
    tenant = await town.organisation()
    (invoice,) = await town.invoices(tenant, 1)
    await town.sandbox.send_events([created(tenant, invoice)])
    await eventually(town.sent, seconds=20)
    secrets = {invoice["phone"].lstrip("+"), "9876543210", "sandbox-secret", "sandbox-whatsapp-token", "wamid.", "eyJ"}
    for name, text in town.logs().items():
        if name.startswith("sandbox"):
            continue
        found = {secret for secret in secrets if secret in text}
        assert not found, f"{name} holds {found}"
    assert any('"level": "debug"' in text or '"level": "info"' in text for text in town.logs().values())
