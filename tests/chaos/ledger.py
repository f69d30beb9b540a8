"""The notifier's ledger as records of the history, read beside the running notifier."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from chaos.databases import NOTIFIER, Databases, Kind, Row

_INSIDE_BODY: dict[Kind, str] = {
    "sqlite": "json_extract(body, '$.invoice.{}')",
    "postgresql": "body #>> '{{invoice,{}}}'",
}
_TIMES = frozenset({"decided_at", "read_at", "started_at", "ended_at", "due_at"})
_MOST_AT_ONCE = 500


def questions(kind: Kind) -> dict[str, str]:
    """What is asked for each kind of record."""
    status, total = (_INSIDE_BODY[kind].format(word) for word in ("status", "total"))
    return {
        "intent": "SELECT intent_id, invoice_id, kind, stage, state, reason, tries, due_at FROM intents",
        "decision": "SELECT invoice_id, kind, stage, verdict, rule, decided_at FROM decisions",
        "snapshot": f"SELECT invoice_id, read_at, {status} AS status, {total} AS total FROM snapshots",
        "attempt": (
            "SELECT a.reference, i.invoice_id, i.kind, a.started_at, a.ended_at, a.outcome, a.error_class, i.state"
            " FROM attempts a JOIN intents i ON i.intent_id = a.intent_id"
        ),
    }


def export(databases: Databases, invoices: Iterable[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows of intents, decisions, snapshots and attempts: no names, no numbers; of some invoices, or of all."""
    asked = None if invoices is None else list(invoices)
    for what, question in questions(databases.kind).items():
        if asked is None:
            yield from (record_of(what, row) for row in databases.rows(NOTIFIER, question, ()))
            continue
        for start in range(0, len(asked), _MOST_AT_ONCE):
            some = asked[start : start + _MOST_AT_ONCE]
            table = "i." if what == "attempt" else ""
            where = f" WHERE {table}invoice_id IN {{texts}}"
            yield from (record_of(what, row) for row in databases.rows(NOTIFIER, question + where, some))


def record_of(what: str, row: Row) -> dict[str, Any]:
    """A row under the names that the checks know, with times as seconds since 1970."""
    record: dict[str, Any] = {"what": what}
    for key, value in row.items():
        name = "invoice" if key == "invoice_id" else key
        record[name] = _seconds(value) if key in _TIMES and value is not None else value
    return record


def _seconds(value: str | datetime) -> float:
    """SQLite keeps a time as text without a zone, which is UTC."""
    told = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
