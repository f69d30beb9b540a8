"""A forecast as a table for a terminal and as JSON: names, and never a number."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from notifier.answers import without_numbers
from notifier.forecast_book import Facts
from notifier.foretold import Coming, Forecast, Silent
from notifier.model import Snapshot
from notifier.rule_words import in_words
from notifier.stages import zone_of

_COLUMNS = ("local time", "zone", "contact", "invoice", "message", "template", "amount", "state")
_TIME = "%a %Y-%m-%d %H:%M"
_UTC = "%Y-%m-%d %H:%M UTC"
_UNKNOWN = "What Xero holds and nobody has read yet is not known here: new invoices, payments, moved due dates."


def table(facts: Facts, said: Forecast) -> str:
    """The messages in the order in which they leave; then, by rule, the invoices that get none."""
    if said.zone is None:
        return f"No invoice of this organisation was read yet, so nothing can be foretold.\n{_UNKNOWN}"
    lines = _aligned([_COLUMNS, *map(_row, said.coming)]) if said.coming else ["Nobody would be messaged."]
    if said.silent:
        lines += ["", f"No message for {len(said.silent)} open invoices:"]
        lines += _aligned([_silent(item) for item in said.silent])
    lines += ["", *_notes(facts, said)]
    return "\n".join(lines)


def _row(item: Coming) -> tuple[str, ...]:
    invoice = item.snapshot.invoice
    return (
        item.at.astimezone(zone_of(item.zone)).strftime(_TIME),
        item.zone,
        _name(item.snapshot),
        invoice.number or invoice.invoice_id,
        message_name(item),
        item.template or "-",
        f"{invoice.currency} {invoice.amount_due}",
        "; ".join(map(in_words, item.held_by)) or ("planned" if item.known else "expected"),
    )


def message_name(item: Coming) -> str:
    return item.kind.value if item.stage is None else f"{item.kind.value} {item.stage:+d}"


def _silent(item: Silent) -> tuple[str, ...]:
    invoice = item.snapshot.invoice
    due = f"due {invoice.due_on.isoformat()}" if invoice.due_on else "no due date"
    return (
        f"  {invoice.number or invoice.invoice_id}",
        _name(item.snapshot),
        due,
        "; then ".join(map(in_words, item.rules)),
    )


def _name(snapshot: Snapshot) -> str:
    name = snapshot.contact.name or snapshot.contact.contact_id
    return " ".join(without_numbers(name).split())


def _notes(facts: Facts, said: Forecast) -> Iterator[str]:
    read = [item.read_at for item in facts.snapshots]
    yield f"It is {said.now.strftime(_UTC)}; the plan reaches to {said.until.strftime(_UTC)}."
    if said.scans:
        following = said.scans[0].astimezone(zone_of(said.zone or "UTC")).strftime(_TIME)
        yield f"Xero is scanned {len(said.scans)} times, next {following} ({said.zone})."
    yield f"Made of {len(read)} invoices read between {_age(said.now, min(read))} and {_age(said.now, max(read))} ago."
    yield f"{facts.settled} others are settled or not issued. {_UNKNOWN}"
    held = Counter(rule for item in said.coming for rule in item.held_by)
    for rule, messages in held.most_common():
        yield f"{messages} would not leave: {in_words(rule)}."


def _age(now: datetime, then: datetime) -> str:
    minutes = max(int((now - then).total_seconds() // 60), 0)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def document(facts: Facts, said: Forecast) -> str:
    """JSON with stable keys; times are ISO 8601, ``local`` with the recipient's offset, amounts as text."""
    read = [item.read_at for item in facts.snapshots]
    return json.dumps(
        {
            "tenant_id": facts.tenant.tenant_id,
            "now": said.now.isoformat(),
            "until": said.until.isoformat(),
            "time_zone": said.zone,
            "scans": [moment.isoformat() for moment in said.scans],
            "snapshots": {
                "open": len(read),
                "others": facts.settled,
                "oldest_read_at": min(read).isoformat() if read else None,
                "newest_read_at": max(read).isoformat() if read else None,
            },
            "messages": [_message(item) for item in said.coming],
            "not_messaged": [
                {**_invoice(item.snapshot), "rules": list(item.rules), "why": [in_words(rule) for rule in item.rules]}
                for item in said.silent
            ],
            "not_known": _UNKNOWN,
        },
        indent=2,
    )


def _message(item: Coming) -> dict[str, Any]:
    return {
        "utc": item.at.isoformat(),
        "local": item.at.astimezone(zone_of(item.zone)).isoformat(),
        "zone": item.zone,
        **_invoice(item.snapshot),
        "kind": item.kind.value,
        "stage": item.stage,
        "template": item.template,
        "amount_due": str(item.snapshot.invoice.amount_due),
        "currency": item.snapshot.invoice.currency,
        "state": "held" if item.held_by else "planned" if item.known else "expected",
        "held_by": list(item.held_by),
    }


def _invoice(snapshot: Snapshot) -> dict[str, Any]:
    due_on = snapshot.invoice.due_on
    return {
        "invoice_id": snapshot.invoice.invoice_id,
        "invoice_number": snapshot.invoice.number,
        "contact_id": snapshot.contact.contact_id,
        "contact_name": _name(snapshot),
        "due_on": due_on.isoformat() if due_on else None,
    }


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


_WHAT = {"missing": "did not leave", "extra": "left, and was not foretold", "ended": "left, and did not arrive"}


def comparison(said: Mapping[str, Any], *, over: bool) -> str:
    """How a day came otherwise than foretold, for a terminal."""
    lines = [f"{said['day']}: {said['foretold']} foretold, {said['as_foretold']} came so; {_unexplained(said)}"]
    rows = [
        (
            f"  {item['invoice_number'] or item['invoice_id']}",
            item["kind"] if item["stage"] is None else f"{item['kind']} {item['stage']:+d}",
            _WHAT[item["what"]],
            in_words(item["rule"]) if item["rule"] else "unexplained",
        )
        for item in said["differences"]
    ]
    lines += _aligned(rows) if rows else []
    if not over:
        lines.append("The day is not over yet.")
    return "\n".join(lines)


def _unexplained(said: Mapping[str, Any]) -> str:
    return f"{len(said['differences'])} differences, unexplained: {said['unexplained']}"
