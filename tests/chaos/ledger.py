"""The notifier's ledger as records of the history, read beside the running notifier."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_QUESTIONS = {
    "intent": "SELECT intent_id, invoice_id, kind, stage, state, reason, tries, due_at FROM intents",
    "decision": "SELECT invoice_id, kind, stage, verdict, rule, decided_at FROM decisions",
    "snapshot": (
        "SELECT invoice_id, read_at, json_extract(body, '$.invoice.status') AS status,"
        " json_extract(body, '$.invoice.total') AS total FROM snapshots"
    ),
    "attempt": (
        "SELECT a.reference, i.invoice_id, i.kind, a.started_at, a.ended_at, a.outcome, a.error_class, i.state"
        " FROM attempts a JOIN intents i ON i.intent_id = a.intent_id"
    ),
}
_TIMES = frozenset({"decided_at", "read_at", "started_at", "ended_at", "due_at"})
_MOST_AT_ONCE = 500


def export(path: Path, invoices: Iterable[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows of intents, decisions, snapshots and attempts: no names, no numbers; of some invoices, or of all."""
    asked = None if invoices is None else list(invoices)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as db:
        db.row_factory = sqlite3.Row
        for what, question in _QUESTIONS.items():
            if asked is None:
                yield from (_record(what, row) for row in db.execute(question))
                continue
            for start in range(0, len(asked), _MOST_AT_ONCE):
                some = asked[start : start + _MOST_AT_ONCE]
                table = "i." if what == "attempt" else ""
                where = f" WHERE {table}invoice_id IN ({', '.join('?' * len(some))})"
                yield from (_record(what, row) for row in db.execute(question + where, some))


def _record(what: str, row: sqlite3.Row) -> dict[str, Any]:
    record: dict[str, Any] = {"what": what}
    for key, value in zip(row.keys(), row, strict=True):
        name = "invoice" if key == "invoice_id" else key
        record[name] = _seconds(value) if key in _TIMES and value is not None else value
    return record


def _seconds(text: str) -> float:
    """SQLite keeps a time as text without a zone, which is UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
