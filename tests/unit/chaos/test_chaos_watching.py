"""What is copied out of the ledger and the journal: enough to judge by, and nothing about a person."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import sqlalchemy as sa

from chaos.databases import KINDS, SqliteFiles
from chaos.history import History
from chaos.ledger import export, questions, record_of
from chaos.links import clock_file, with_port
from chaos.log_lines import showing, tail_of
from chaos.watching import Watcher, trimmed
from deploy.paths import ROOT
from notifier.tables import attempts, decisions, intents, metadata, snapshots

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_ledger(folder: Path) -> SqliteFiles:
    path = folder / "data" / "notifier.db"
    path.parent.mkdir()
    engine = sa.create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    key = {"tenant_id": "t", "invoice_id": "i", "kind": "issued", "stage": -32768}
    named = {"invoice_number": "INV-1", "contact_id": "c"}
    times = {"due_at": AT, "created_at": AT, "changed_at": AT}
    with engine.begin() as db:
        db.execute(
            sa.insert(intents).values(
                intent_id="n", phone="+919876543210", state="sent", tries=1, looks=0, **key, **named, **times
            )
        )
        db.execute(sa.insert(decisions).values(verdict="plan", rule="due", decided_at=AT, **key, **named))
        body = {"invoice": {"status": "PAID", "total": "12.00"}, "contact": {"name": "Asha"}}
        db.execute(sa.insert(snapshots).values(tenant_id="t", invoice_id="i", read_at=AT, body=body))
        db.execute(
            sa.insert(attempts).values(
                reference="r", intent_id="n", tenant_id="t", phone="+919876543210", template="x", started_at=AT
            )
        )
    engine.dispose()
    return SqliteFiles(folder)


def test_the_ledger_is_read_as_it_stands(tmp_path: Path) -> None:
    files = a_ledger(tmp_path)
    rows = {row["what"]: row for row in export(files)}
    assert rows["intent"] | {"invoice": "i", "kind": "issued", "state": "sent"} == rows["intent"]
    assert rows["decision"]["decided_at"] == AT.timestamp()
    assert (rows["snapshot"]["status"], rows["snapshot"]["total"]) == ("PAID", "12.00")
    assert (rows["attempt"]["invoice"], rows["attempt"]["state"], rows["attempt"]["outcome"]) == ("i", "sent", None)
    assert list(export(files, ["i"])) == list(export(files))
    assert list(export(files, ["another"])) == []
    assert "9876543210" not in str(rows)
    assert "Asha" not in str(rows)


def test_both_databases_are_asked_for_the_same_and_tell_the_same() -> None:
    asked = [questions(kind) for kind in KINDS]
    assert [list(one) for one in asked] == [["intent", "decision", "snapshot", "attempt"]] * 2
    zoned, text = {"invoice_id": "i", "read_at": AT}, {"invoice_id": "i", "read_at": "2026-03-01 12:00:00.000000"}
    assert (
        record_of("snapshot", zoned)
        == record_of("snapshot", text)
        == {
            "what": "snapshot",
            "invoice": "i",
            "read_at": AT.timestamp(),
        }
    )


def test_a_journal_entry_keeps_what_checks_need_and_no_person() -> None:
    entry = {
        "seq": 7,
        "time": AT.isoformat(),
        "kind": "whatsapp.message",
        "status": 200,
        "to": "+919876543210",
        "text": "Hello Asha",
        "template": "invoice_issued",
        "parameters": {"invoice_number": "INV-1", "contact_name": "Asha"},
        "biz_opaque_callback_data": "r",
        "milliseconds": 3.0,
    }
    at, row = trimmed(entry)
    assert at == AT.timestamp()
    assert (row["number"], row["reference"], row["template"], row["ms"]) == ("INV-1", "r", "invoice_issued", 3.0)
    assert "9876543210" not in str(row)
    assert "Asha" not in str(row)


async def test_a_copied_entry_tells_how_many_were_left_out_before_it_and_in_whose_name_it_was(tmp_path: Path) -> None:
    kinds = [("twilio.inbound", ""), ("whatsapp.message", "One"), ("whatsapp.message", "Two")]
    entries: list[dict[str, Any]] = [
        {"kind": kind, "seq": seq, "time": AT.isoformat(), "parameters": {"organisation_name": name}, "to": "+911"}
        for seq, (kind, name) in enumerate(kinds, start=1)
    ]

    async def journal(since: int) -> list[dict[str, Any]]:
        return entries[since:]

    with History(tmp_path / "history.jsonl", AT.timestamp) as history:
        scene = SimpleNamespace(
            sandbox=SimpleNamespace(journal=journal), history=history, names={"One": "t1"}, masked=lambda to: "aa"
        )
        watcher = Watcher(cast(Any, scene))
        await watcher.copy()
        await watcher.copy()
        rows = [(row["seq"], row["skipped"], row["tenant"]) for row in history.recent]
    assert rows == [(2, 1, "t1"), (3, 0, "nobody")]


def test_a_number_is_found_in_a_log_however_it_is_written() -> None:
    lines = [
        '{"event": "a", "wa_id": "919876543210"}',
        '{"event": "b", "said": "to +919876543210"}',
        "plain 9876543210",
        '{"event": "c", "milliseconds": 1763880000123, "id": "a9876543211"}',
    ]
    assert showing(lines, {tail_of("+91 98765 43210")}) == {"a": 1, "b": 1, "no event": 1}


def test_an_address_gets_another_port_and_keeps_its_user() -> None:
    assert with_port("amqp://a:b%2F@127.0.0.1:1/v", 2) == "amqp://a:b%2F@127.0.0.1:2/v"
    assert with_port("http://127.0.0.1:9400", 2) == "http://127.0.0.1:2"


def test_a_service_s_time_of_day_follows_the_file(tmp_path: Path) -> None:
    file = clock_file(tmp_path, "notifier")
    file.write_text("3600", encoding="ascii")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "chaos" / "inside"), "CHAOS_CLOCK": str(file)}
    asked = "from shared.runtime.clock import utc_now; print(utc_now().timestamp())"
    before = datetime.now(UTC).timestamp()
    done = subprocess.run(
        [sys.executable, "-P", "-c", asked], env=environment, capture_output=True, text=True, check=True
    )
    assert 3600 <= float(done.stdout) - before < 3660
