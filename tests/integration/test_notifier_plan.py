"""The plan on real ledgers: what it says of the coming days is what leaves in them, and it shows no number."""

import json
import threading
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from notifier.adapters.day_plans import SqlDayPlans
from notifier.adapters.facts import facts
from notifier.forecast import forecast
from notifier.model import Snapshot
from notifier.plan import answer, comparison
from notifier.plan_watch import WatchPlans
from notifier.reconciliation import Comparison
from notifier.tables import day_plans
from shared.errors import ConfigurationError
from support.builders import TENANT
from support.notifier import ALWAYS, World, inbound, world

pytestmark = pytest.mark.integration
POLICY = """
defaults:
  brake: {hold_back_book: false}
  contact_hours: {start: "00:00", end: "24:00", days: [mon, tue, wed, thu, fri, sat, sun], holidays: false}
"""


async def read(notifier: World, number: int, due_on: date, **changes: object) -> None:
    contact = {"contact_id": f"c{number}", "phone": f"+91987654{number:04}", "name": f"Asha {number} +91 98765 43210"}
    invoice = {"invoice_id": f"i{number}", "number": f"INV-{number}", "due_on": due_on, **changes}
    await notifier.take_in(invoice=invoice, contact=contact)


async def read_all(notifier: World) -> None:
    await read(notifier, 1, date(2026, 6, 23))
    await read(notifier, 2, date(2026, 6, 24))
    await read(notifier, 3, date(2026, 6, 25))
    await read(notifier, 4, date(2026, 9, 1))
    await read(notifier, 5, date(2026, 6, 24), status="PAID", amount_due=0, amount_paid=100)


async def test_what_is_foretold_is_what_leaves(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await read_all(notifier)
        await notifier.learn(inbound("STOP", person_phone="+919876540003"))
        async with notifier.engine.connect() as db:
            known = await facts(db, TENANT, notifier.clock.now)
        assert known is not None
        said = forecast(known, notifier.policy.for_tenant(TENANT), notifier.clock.now, timedelta(days=4))
        assert known.settled == 1
        for moment in said.scans:
            await notifier.sender.run_once()
            notifier.clock.now = moment
            await read_all(notifier)
        await notifier.sender.run_once()
        left = sorted((row.invoice_id, row.stage) for row in await notifier.rows() if row.state == "accepted")
        assert left == sorted((item.snapshot.invoice.invoice_id, item.stage) for item in said.coming)
        assert len(left) == 5
        assert {item.snapshot.invoice.invoice_id: item.rules[0] for item in said.silent} == {
            "i3": "opted_out",
            "i4": "no_stage_due",
        }


async def test_the_command_says_it_as_table_and_json_and_shows_no_number(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    monkeypatch.setenv("DUEBELL_POLICY_FILE", str(policy))
    async with world(database_url, ALWAYS) as notifier:
        await read_all(notifier)
        table = await answer(notifier.engine, TENANT, notifier.clock.now, as_json=False)
        said = json.loads(await answer(notifier.engine, TENANT, notifier.clock.now, as_json=True))
        with pytest.raises(ConfigurationError, match="never heard of"):
            await answer(notifier.engine, "nobody", notifier.clock.now, as_json=False)
    assert "98765" not in table + json.dumps(said)
    assert "nobody has read yet" in table
    assert "INV-1" in table
    assert said["snapshots"] == {
        "open": 4, "others": 1, "oldest_read_at": "2026-06-23T12:00:00+00:00",
        "newest_read_at": "2026-06-23T12:00:00+00:00",
    }  # fmt: skip
    assert {item["invoice_id"] for item in said["messages"] + said["not_messaged"]} == {"i1", "i2", "i3", "i4"}


async def test_each_day_is_kept_and_compared_by_one_replica(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    monkeypatch.setenv("DUEBELL_POLICY_FILE", str(policy))
    async with world(database_url, ALWAYS) as notifier:
        compared: list[Comparison] = []
        plans = SqlDayPlans(notifier.engine)
        loops = [WatchPlans(plans, notifier.policy, clock=notifier.clock, compared=compared.append) for _ in range(2)]
        await read_all(notifier)
        await notifier.sender.run_once()
        for moment in ("2026-06-23T18:31:00+00:00", "2026-06-24T04:00:00+00:00", "2026-06-24T18:31:00+00:00"):
            notifier.clock.now = datetime.fromisoformat(moment)
            for loop in loops:
                await loop.see(TENANT)
            # One is paid, one new, one moved; the others come as foretold.
            await read(notifier, 2, date(2026, 6, 24), status="PAID", amount_due=0, amount_paid=100)
            await read(notifier, 3, date(2026, 6, 24))
            await read(notifier, 7, date(2026, 6, 24))
            await notifier.sender.run_once()
        (first,) = compared
        assert (first.day, first.unexplained) == (date(2026, 6, 24), 0)
        assert {item.invoice_id: item.rule for item in first.differences} == {
            "i2": "paid",
            "i3": "due_date_changed",
            "i7": "new_invoice",
        }
        said = await comparison(notifier.engine, TENANT, None, notifier.clock.now, as_json=False)
        assert "unexplained: 0" in said
        assert "it is paid" in said
        today = json.loads(
            await comparison(notifier.engine, TENANT, date(2026, 6, 25), notifier.clock.now, as_json=True)
        )
        assert today["day"] == "2026-06-25"
        with pytest.raises(ConfigurationError, match="no plan"):
            await comparison(notifier.engine, TENANT, date(2026, 6, 1), notifier.clock.now, as_json=False)
        kept = await notifier.rows(day_plans)
        assert len(kept) == 2
        assert not any("98765" in str(tuple(row)) or "Asha" in str(tuple(row)) for row in kept)


async def test_a_book_is_read_beside_the_loop(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await read_all(notifier)
        threads = set()

        class Watched(Snapshot):
            @classmethod
            def model_validate_json(cls, *args: Any, **kwargs: Any) -> Any:
                threads.add(threading.current_thread())
                return Snapshot.model_validate_json(*args, **kwargs)

        monkeypatch.setattr("notifier.adapters.facts.Snapshot", Watched)
        known = await SqlDayPlans(notifier.engine).facts(TENANT, notifier.clock.now)
        assert known is not None
        assert len(known.snapshots) == 4
        assert len(threads) == 1
        assert threading.current_thread() not in threads
