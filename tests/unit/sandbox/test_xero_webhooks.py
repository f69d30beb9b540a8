"""Xero's webhook sender: signatures, the handshake, batches, retries and disabling."""

import asyncio
import base64
import random
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.xero.payloads import body_of, event, one_off, sign
from unit.sandbox.playing import Double

URL = "http://receiver/webhooks/xero"
EVENT = {"tenant_id": "t-1", "resource_id": "r-1"}


@given(st.text(min_size=1), st.binary(), st.integers(), st.booleans())
def test_a_wrong_signature_differs_in_exactly_one_character(key: str, body: bytes, seed: int, swap: bool) -> None:
    key = key.encode("utf-8", "ignore").decode()
    right = sign(key, body)
    wrong = one_off(right, random.Random(seed), swap_case=swap)
    assert sum(a != b for a, b in zip(right, wrong, strict=True)) == 1
    assert base64.b64decode(wrong, validate=True) != base64.b64decode(right)


def test_the_key_is_taken_as_it_stands() -> None:
    assert sign("a2V5", b"body") != sign("key", b"body")


def test_bodies_have_xeros_uneven_spacing() -> None:
    body = body_of([], 0, 0, random.Random(1))
    assert body.startswith(b'{"events":[],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "')
    assert len(body) == 95


def test_event_times_have_no_zone() -> None:
    row = event("t", "r", datetime(2025, 12, 2, 0, 44, 9, 923456, tzinfo=UTC), kind="CREATE")
    assert (row["eventDateUtc"], row["eventType"]) == ("2025-12-02T00:44:09.923", "CREATE")


async def test_a_right_endpoint_passes_the_handshake(double: Double) -> None:
    await double.admin.settings(webhook_url=URL)
    verdict = await double.admin.handshake()
    assert (verdict["ok"], verdict["status"]) == (True, "enabled")
    assert sorted(row["status"] for row in verdict["attempts"]) == [200, 401, 401, 401]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (httpx.Response(200, text="ok"), "Response contains a body"),
        (httpx.Response(200, headers={"set-cookie": "a=b"}), "Response contains cookies"),
        (httpx.Response(202), "Response not 200"),
    ],
)
async def test_a_wrong_endpoint_fails_the_handshake(double: Double, answer: httpx.Response, complaint: str) -> None:
    await double.admin.settings(webhook_url=URL)
    double.receiver.change = lambda _response: answer
    verdict = await double.admin.handshake()
    assert (verdict["ok"], verdict["problems"]) == (False, [complaint])


async def test_an_endpoint_that_checks_nothing_fails_the_handshake(double: Double) -> None:
    await double.admin.settings(webhook_url=URL)
    double.receiver.status = 200
    assert (await double.admin.handshake())["problems"] == ["Response to incorrectly signed payload not 401"]


async def test_forged_and_raw_deliveries(double: Double) -> None:
    await double.admin.settings(webhook_url=URL)
    assert [row["status"] for row in await double.admin.send_events([EVENT], forged=True)] == [401]
    assert [row["status"] for row in await double.admin.send_events(raw="{not json")] == [200]
    assert double.receiver.requests[-1].content == b"{not json"


async def test_copies_are_shuffled_and_batched(double: Double) -> None:
    await double.admin.settings(webhook_url=URL)
    events = [{"tenant_id": f"t-{n % 2}", "resource_id": f"r-{n}"} for n in range(6)]
    answers = await double.admin.send_events(events, copies=2, shuffle=True, batch=5, concurrency=3)
    assert len(answers) == 3
    rows = [row for body in double.receiver.bodies() for row in body["events"]]
    assert sorted(row["resourceId"] for row in rows) == sorted(2 * [f"r-{n}" for n in range(6)])
    assert [row["resourceId"] for row in rows] != sorted(row["resourceId"] for row in rows)


async def settle(double: Double) -> None:
    while double.app.state.world.tasks:
        await asyncio.gather(*double.app.state.world.tasks)


async def test_a_payment_announces_itself(double: Double) -> None:
    await double.admin.settings(webhook_url=URL, webhook_delay=0)
    tenant = (await double.admin.organisation())["tenant_id"]
    contact = (await double.admin.contact(tenant))["contact_id"]
    invoice = await double.admin.invoice(tenant, contact, issue_date=double.clock().date())
    await double.admin.pay(invoice["invoice_id"])
    await settle(double)
    rows = [row for body in double.receiver.bodies() for row in body["events"]]
    assert [(row["eventType"], row["resourceId"]) for row in rows] == [
        ("CREATE", invoice["invoice_id"]),
        ("UPDATE", invoice["invoice_id"]),
    ]
    assert not any("amount" in key.lower() for row in rows for key in row)


async def test_failed_deliveries_are_repeated_until_taken(double: Double) -> None:
    await double.admin.settings(webhook_url=URL, webhook_delay=0, webhook_time_scale=0.00001)
    answers = iter([500, 503, 200])
    double.receiver.change = lambda _response: httpx.Response(next(answers))
    await double.admin.queue_events([EVENT])
    await settle(double)
    assert [row["status"] for row in await double.admin.journal("xero.webhook")] == [500, 503, 200]
    assert len({request.content for request in double.receiver.requests}) == 1


async def test_a_day_of_failures_disables_and_a_handshake_brings_the_events_back(double: Double) -> None:
    await double.admin.settings(webhook_url=URL, webhook_delay=0, webhook_time_scale=0.00001)
    double.receiver.status = 500
    double.receiver.change = lambda response: response
    world = double.app.state.world
    world.xero_webhooks.failing_since = double.clock()
    double.clock.forward(86400)
    await double.admin.queue_events([EVENT])
    await settle(double)
    summary = await double.admin.summary()
    assert (summary["webhook_subscription"], summary["webhook_backlog"]) == ("disabled", 1)
    await double.admin.queue_events([EVENT | {"resource_id": "r-2"}])
    assert (await double.admin.summary())["webhook_backlog"] == 2
    double.receiver.status = None
    assert (await double.admin.handshake())["ok"]
    await settle(double)
    rows = [row["resourceId"] for body in double.receiver.bodies() for row in body["events"]]
    assert rows[-2:] == ["r-1", "r-2"]


async def test_a_retry_is_signed_with_the_key_of_the_moment(double: Double) -> None:
    await double.admin.settings(webhook_url=URL, webhook_delay=0, webhook_time_scale=0.00001)
    double.receiver.key = "the next key"
    await double.admin.queue_events([EVENT])
    while not double.receiver.requests:
        await asyncio.wait(double.app.state.world.tasks, timeout=0.01)
    await double.admin.settings(webhook_key="the next key")
    await settle(double)
    statuses = [row["status"] for row in await double.admin.journal("xero.webhook")]
    assert (statuses[0], statuses[-1]) == (401, 200)


async def test_an_endpoint_must_prove_itself_when_that_is_asked(double: Double) -> None:
    await double.admin.settings(webhook_url=URL, webhook_delay=0, require_handshake=True)
    await double.admin.queue_events([EVENT])
    assert double.receiver.requests == []
    await double.admin.handshake()
    await settle(double)
    assert double.receiver.bodies()[-1]["events"]
