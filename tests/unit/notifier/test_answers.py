"""The operator's two commands, and the configuration they need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from notifier.answers import release, why, without_numbers
from notifier.why import table
from support.builders import NOON, TENANT
from support.notifier import tenant_policy, world


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


def run(module: str, url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"DUEBELL_NOTIFIER_DATABASE_URL": url, "DUEBELL_WHATSAPP_API_URL": "http://ignored"},
    )
    return done.stdout


async def test_every_candidate_has_an_answer(url: str) -> None:
    async with world(url, tenant_policy(mode="approval")) as notifier:
        await notifier.take_in(contact={"name": "Asha +919876543210"})
        await notifier.take_in(invoice={"invoice_id": "i2", "number": "INV-2", "due_on": None})
        told = await why(notifier.engine, TENANT)
        assert [(item.invoice_number, item.verdict, item.rule, item.state) for item in told] == [
            ("INV-1042", "hold", "approval", "held"),
            ("INV-2", "skip", "no_due_date", None),
        ]
        assert [item.invoice_number for item in await why(notifier.engine, TENANT, "INV-2")] == ["INV-2"]
        assert await why(notifier.engine, "nobody") == []
        shown = table(told)
        assert "Asha" in shown
        assert "9876543210" not in shown
        assert await release(notifier.engine, TENANT, NOON) == 1
        assert await release(notifier.engine, TENANT, NOON) == 0
        await notifier.sender.run_once()
        assert (await why(notifier.engine, TENANT))[0].state == "accepted"


async def test_the_commands_need_only_the_ledger(url: str) -> None:
    async with world(url, tenant_policy(mode="approval")) as notifier:
        await notifier.take_in()
    (answer,) = json.loads(run("notifier.why", url, TENANT, "--json"))
    assert (answer["invoice_number"], answer["stage"], answer["rule"], answer["state"]) == (
        "INV-1042",
        7,
        "approval",
        "held",
    )
    assert set(answer) == {
        *("invoice_id", "invoice_number", "contact_id", "contact_name", "kind", "stage", "due_on", "verdict", "rule"),
        *("decided_at", "state", "reason", "due_at", "changed_at", "statement_of", "resent_at", "copies"),
        *("cost", "currency", "error"),
    }
    assert "reminder +7" in run("notifier.why", url, TENANT)
    assert run("notifier.release", url, TENANT) == "1 released\n"
    assert json.loads(run("notifier.costs", url, "--tenant", TENANT, "--json")) == []
    assert run("notifier.costs", url) == "No message has left.\n"
    assert run("notifier.answered", url, TENANT, "INV-1042") == "no reply of this contact waited\n"


def test_a_number_in_a_name_is_cut() -> None:
    assert without_numbers("Ravi (98765 43210)") == "Ravi (…210)"
    assert without_numbers("Shop 24") == "Shop 24"
