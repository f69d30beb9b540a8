"""Faults: which requests they strike, how often, and what has happened afterwards."""

import httpx
import pytest

from sandbox.faults import ConnectionLostError, Fault, Faults
from unit.sandbox.playing import BEARER, Double
from unit.sandbox.test_whatsapp import MESSAGES, message


def test_patterns_kinds_counts_and_tenants() -> None:
    faults = Faults()
    faults.add(Fault(on="/api.xro/*", effect="status500", times=2, after=1, tenant="t"))
    hits = [faults.strike("GET", "/api.xro/2.0/Invoices", "xero.api", tenant) for tenant in "tuttt"]
    assert [hit is not None for hit in hits] == [False, False, True, True, False]
    faults.add(Fault(on="xero.token", effect="status503", method="POST", times=None))
    assert faults.strike("GET", "/connect/token", "xero.token", None) is None
    assert all(faults.strike("POST", "/connect/token", "xero.token", None) for _ in range(5))


def test_the_dice_repeat() -> None:
    def strikes() -> list[bool]:
        faults = Faults()
        faults.add(Fault(on="xero.api", effect="html", times=None, probability=0.5, seed=7))
        return [faults.strike("GET", "/x", "xero.api", None) is not None for _ in range(50)]

    assert strikes() == strikes()
    assert 10 < sum(strikes()) < 40


@pytest.mark.parametrize(
    ("effect", "status", "accepted"),
    [("status429", 429, 0), ("status500", 500, 0), ("status503", 503, 0), ("html", 502, 0), ("latency", 200, 1)],
)
async def test_refusals_have_no_effect(double: Double, effect: str, status: int, accepted: int) -> None:
    await double.admin.fault("whatsapp.message", effect)
    answer = await double.http.post(MESSAGES, json=message(), headers=BEARER)
    assert answer.status_code == status
    assert (await double.admin.summary())["messages_accepted"] == accepted
    again = await double.http.post(MESSAGES, json=message(), headers=BEARER)
    assert again.status_code == 200


async def test_a_graph_error_of_choice(double: Double) -> None:
    await double.admin.fault("whatsapp.message", "graph", code=131042)
    answer = await double.http.post(MESSAGES, json=message(), headers=BEARER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 131042)


async def test_a_lost_answer_leaves_the_effect(double: Double) -> None:
    await double.admin.fault("/v*/messages", "lose_answer_after_effect")
    with pytest.raises(ConnectionLostError):
        await double.http.post(MESSAGES, json=message(), headers=BEARER)
    assert (await double.admin.summary())["messages_accepted"] == 1
    [entry] = await double.admin.journal("whatsapp.message")
    assert (entry["status"], entry["lost_status"], entry["fault"]) == (None, 200, "lose_answer_after_effect")


async def test_a_lost_refresh_answer_has_rotated_the_token(double: Double) -> None:
    await double.admin.settings(mode="strict")
    token = (await double.tokens())["refresh_token"]
    await double.admin.fault("xero.token", "lose_answer_after_effect")
    with pytest.raises(ConnectionLostError):
        await double.refresh(token)
    assert (await double.refresh(token)).json() == {"error": "invalid_grant"}


async def test_xeros_429_names_the_wait(double: Double) -> None:
    tenant = (await double.admin.organisation())["tenant_id"]
    headers = await double.connect(tenant)
    await double.admin.faults([{"on": "xero.api", "effect": "status429", "seconds": 7}])
    answer = await double.http.get("/api.xro/2.0/Organisation", headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert await double.breaches() == []


async def test_a_slow_call_counts_as_in_flight(double: Double) -> None:
    tenant = (await double.admin.organisation())["tenant_id"]
    headers = await double.connect(tenant)
    await double.admin.fault("xero.api", "latency", seconds=0.01, times=None)
    await double.http.get("/api.xro/2.0/Organisation", headers=headers)
    [entry] = await double.admin.journal("xero.api")
    assert entry["milliseconds"] >= 10


async def test_an_unknown_fault_is_refused(double: Double) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        await double.admin.fault("xero.api", "explode")


async def test_listing_the_faults_leaves_them_armed(double: Double) -> None:
    await double.admin.fault("whatsapp.message", "status500")
    for _ in range(2):
        listed = (await double.http.get("/sandbox/faults")).json()["faults"]
        assert [fault["effect"] for fault in listed] == ["status500"]
