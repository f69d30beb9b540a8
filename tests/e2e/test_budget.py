"""``make budget`` on a running installation: what was called, and who is parked until when."""

import json
from typing import Any

import pytest

from support.town import Town
from support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


async def row(town: Town, tenant: str) -> dict[str, Any] | None:
    rows = json.loads(await town.command("budget", "--json"))["tenants"]
    return next((found for found in rows if found["tenant_id"] == tenant), None)


async def is_scheduled(town: Town, tenant: str) -> bool:
    """Whether ``make schedule`` says when it is read next, in its own time."""
    told = json.loads(await town.command("schedule", "--json"))["tenants"]
    coming = [each for found in told if found["tenant_id"] == tenant for each in found["next"]]
    return {each["kind"] for each in coming if each["local"]} == {"receivables", "reconcile"}


async def test_a_tenant_whose_day_is_spent_is_parked_and_seen_to_be(town: Town) -> None:
    tenant = await town.organisation(name="Meera Textiles")

    async def called() -> dict[str, Any] | None:
        found = await row(town, tenant)
        return found if found and found["name"] and found["bytes"] else None

    found = await eventually(called, seconds=30, what="the organisation's reading")
    assert (found["calls"]["look"], found["endpoints"]["organisation"], found["held"]) == (1, 1, None)
    await eventually(lambda: is_scheduled(town, tenant), seconds=30, what="the organisation's next scan")
    await town.sandbox.settings(calls_per_day=0)
    try:
        [invoice] = await town.invoices(tenant, 1)
        await town.sandbox.queue_events([{"tenant_id": tenant, "resource_id": invoice["invoice_id"], "type": "CREATE"}])

        async def parked() -> dict[str, Any] | None:
            found = await row(town, tenant)
            return found if found and found["held"] == "day" else None

        found = await eventually(parked, seconds=30, what="the parked tenant")
        assert found["until"]
        assert "parked (day) until" in await town.command("budget")
        assert any("tenant.parked" in text for text in town.logs().values())
    finally:
        await town.sandbox.settings(calls_per_day=5000)
