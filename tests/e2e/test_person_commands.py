"""``make plan``, ``make erase`` and ``make release ARGS=--list`` on a running installation."""

import json
from datetime import timedelta
from typing import Any

import pytest

from support.town import Town, today
from support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def plan(town: Town, tenant: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(await town.command("plan", tenant, "--json"))
    return told


async def test_who_is_foretold_is_erased_and_stays_away(town: Town) -> None:
    tenant = await town.organisation()
    rows = await town.sandbox.bulk(tenant, 3, issue_date=today(), due_date=today() + timedelta(days=5))
    await town.command("scan", tenant)

    async def known() -> bool:
        return len({*await _invoices(town, tenant)}) == len(rows)

    # Too early for a reminder, so that it is decided and nothing is sent; two days on it is foretold.
    await town.command("reconcile", tenant)
    await eventually(known, seconds=60, what="the invoices in the plan")
    table = await town.command("plan", tenant)
    told = await plan(town, tenant)
    assert {item["stage"] for item in told["messages"]} <= {-3, 0, None}
    contact = told["messages"][0]["contact_id"]
    counted = await town.command("erase", contact, "--tenant", tenant)
    assert "would erase" in counted
    assert "nothing was changed" in counted
    done = await town.command("erase", contact, "--tenant", tenant, "--yes")
    assert "ledger: erased" in done
    assert "fetcher's cache:" in done
    assert "dead letters:" in done
    assert contact not in json.dumps(await plan(town, tenant))
    await town.command("scan", tenant)
    again = await town.command("erase", contact, "--tenant", tenant)
    assert "nothing" in again
    assert "+91" not in table + counted + done
    assert "Nothing waits." in await town.command("release", tenant, "--list")


async def _invoices(town: Town, tenant: str) -> list[str]:
    try:
        told = await plan(town, tenant)
    except AssertionError:  # nobody has heard of the organisation yet
        return []
    return [item["invoice_id"] for item in told["messages"] + told["not_messaged"]]
