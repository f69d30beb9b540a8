"""The HTTP door, with a fake outbox behind it."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from ingress.accept import AcceptWebhook
from ingress.bodies import MAX_BODY_BYTES
from ingress.bursts import Lanes, TenantBursts
from ingress.metrics import DoorFigures
from ingress.signatures import meta_signature_matches, xero_signature_matches
from ingress.webhooks import Webhooks, webhook_routes
from shared.errors import PermanentError, PublishFailed
from shared.topology.lanes import Lane
from support.builders import NOON
from support.outbox import FakeOutbox

KEY = "webhook key"
HANDSHAKE = b'{"events":[],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "ABCDEFGHIJKLMNOPQRST"}'


@pytest.fixture
def outbox() -> FakeOutbox:
    return FakeOutbox()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def door(outbox: FakeOutbox, registry: CollectorRegistry) -> AsyncIterator[httpx.AsyncClient]:
    figures = DoorFigures(registry)
    lanes = Lanes(TenantBursts(lambda: 0.0, burst=50), figures.sorted_into)
    webhooks = Webhooks(AcceptWebhook(outbox, lanes.of), figures, lambda: NOON)
    routes = webhook_routes(
        webhooks,
        verify_xero=partial(xero_signature_matches, keys=("old key", KEY)),
        verify_whatsapp=partial(meta_signature_matches, app_secret="app secret"),
        verify_token="open sesame",
    )
    transport = httpx.ASGITransport(Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://ingress") as client:
        yield client


def signed(body: bytes, key: str = KEY) -> dict[str, str]:
    return {"x-xero-signature": base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256)).decode()}


def event_body(count: int = 1) -> bytes:
    events = [
        {
            "resourceId": f"inv-{n}",
            "tenantId": f"tenant-{n % 3}",
            "eventCategory": "INVOICE",
            "eventType": "CREATE",
            "eventDateUtc": "2026-06-23T11:59:58",
        }
        for n in range(count)
    ]
    return json.dumps({"events": events}).encode()


def assert_bare(response: httpx.Response, status: int) -> None:
    """Xero's portal refuses a body and cookies."""
    assert (response.status_code, response.content) == (status, b"")
    assert "set-cookie" not in response.headers


async def test_the_handshake_is_answered_200_and_401(door: httpx.AsyncClient) -> None:
    right = signed(HANDSHAKE)["x-xero-signature"]
    assert_bare(await door.post("/webhooks/xero", content=HANDSHAKE, headers={"x-xero-signature": right}), 200)
    wrong = right[:-2] + ("A" if right[-2] != "A" else "B") + "="
    assert_bare(await door.post("/webhooks/xero", content=HANDSHAKE, headers={"x-xero-signature": wrong}), 401)
    assert_bare(await door.post("/webhooks/xero", content=HANDSHAKE), 401)


@pytest.mark.parametrize("key", ["old key", KEY])
async def test_events_are_published_before_200(door: httpx.AsyncClient, outbox: FakeOutbox, key: str) -> None:
    body = event_body(250)
    assert_bare(await door.post("/webhooks/xero", content=body, headers=signed(body, key)), 200)
    assert len(outbox.events) == 250


async def test_what_is_beyond_a_tenants_burst_is_marked_as_bulk_and_counted(
    door: httpx.AsyncClient, outbox: FakeOutbox, registry: CollectorRegistry
) -> None:
    body = event_body(210)
    assert_bare(await door.post("/webhooks/xero", content=body, headers=signed(body)), 200)
    taken = Counter((event.tenant_id, lane) for event, lane in zip(outbox.events, outbox.lanes, strict=True))  # type: ignore[attr-defined]  # all are of Xero
    assert taken == {
        (f"tenant-{n}", lane): count for n in range(3) for lane, count in ((Lane.HOT, 50), (Lane.BULK, 20))
    }
    counted = {
        lane: registry.get_sample_value("duebell_ingress_events_total", {"key": "xero.event.received.v1", "lane": lane})
        for lane in ("hot", "bulk")
    }
    assert counted == {"hot": 150, "bulk": 60}


@pytest.mark.parametrize(
    "failure", [PublishFailed("publish_unconfirmed"), PermanentError("unroutable"), asyncio.CancelledError()]
)
async def test_what_could_not_be_kept_is_answered_503(
    door: httpx.AsyncClient, outbox: FakeOutbox, failure: BaseException
) -> None:
    outbox.failure = failure
    for body in (event_body(), b"signed garbage"):
        assert_bare(await door.post("/webhooks/xero", content=body, headers=signed(body)), 503)


async def test_signed_garbage_is_kept_and_answered_200(door: httpx.AsyncClient, outbox: FakeOutbox) -> None:
    assert_bare(await door.post("/webhooks/xero", content=b"garbage", headers=signed(b"garbage")), 200)
    assert outbox.kept == [(b"garbage", "unreadable_webhook")]


async def test_a_forged_body_publishes_nothing(door: httpx.AsyncClient, outbox: FakeOutbox) -> None:
    body = event_body()
    assert_bare(await door.post("/webhooks/xero", content=body + b" ", headers=signed(body)), 401)
    assert_bare(await door.post("/webhooks/xero", content=body, headers=signed(body, "another key")), 401)
    told = b'{"entry": []}'
    forged = "sha256=" + hmac.new(b"another secret", told, hashlib.sha256).hexdigest()
    assert_bare(await door.post("/webhooks/whatsapp", content=told, headers={"x-hub-signature-256": forged}), 401)
    assert_bare(await door.post("/webhooks/whatsapp", content=told), 401)
    assert (outbox.events, outbox.kept) == ([], [])


async def test_a_body_beyond_the_bound_is_refused_unread(door: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    assert_bare(await door.post("/webhooks/xero", content=endless()), 413)
    headers = {"content-length": str(MAX_BODY_BYTES + 1)}
    assert_bare(await door.post("/webhooks/whatsapp", content=b"", headers=headers), 413)


async def test_meta_s_handshake_repeats_the_challenge_only_for_our_token(door: httpx.AsyncClient) -> None:
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "open sesame"}
    answer = await door.get("/webhooks/whatsapp", params=asked)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert_bare(await door.get("/webhooks/whatsapp", params=asked | {"hub.verify_token": "guess"}), 403)
    assert_bare(await door.get("/webhooks/whatsapp", params={"hub.challenge": "1"}), 403)


async def test_meta_s_updates_are_published(door: httpx.AsyncClient, outbox: FakeOutbox) -> None:
    status = {"id": "wamid.A", "status": "sent", "timestamp": "1782216000"}
    body = json.dumps({"entry": [{"changes": [{"field": "messages", "value": {"statuses": [status]}}]}]}).encode()
    signature = "sha256=" + hmac.new(b"app secret", body, hashlib.sha256).hexdigest()
    assert_bare(await door.post("/webhooks/whatsapp", content=body, headers={"X-Hub-Signature-256": signature}), 200)
    assert len(outbox.events) == 1
    assert_bare(await door.post("/webhooks/whatsapp", content=body), 401)


async def test_a_body_nested_beyond_reading_is_kept_whole(door: httpx.AsyncClient, outbox: FakeOutbox) -> None:
    deep = b'{"events": [' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"]}"
    assert_bare(await door.post("/webhooks/xero", content=deep, headers=signed(deep)), 200)
    assert len(outbox.kept) == 1
