"""What a history says, in order: inputs and answers, what changed in Xero, what reached WhatsApp, the ledger's end."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chaos.attacked import Attack, see_attacks
from chaos.history import Record
from chaos.spans import FaultSpan, peace, spans_of

ISSUED, REMINDER, PAID, CHANGED = "issued", "reminder", "paid", "changed"
_OPENINGS = {"invoice_issued": ISSUED, "payment_received": PAID, "invoice_paid": PAID}

Candidate = tuple[str, str]
"""An invoice's id and the kind of message."""


@dataclass(frozen=True, slots=True)
class Input:
    """One event that an honest sender offered; ``accepted_at`` is None while nobody answered 200."""

    invoice: str
    tenant: str
    kind: str
    offered_at: float
    accepted_at: float | None


@dataclass(frozen=True, slots=True)
class Message:
    """What WhatsApp accepted from us; ``kind`` is told by its template."""

    invoice: str
    kind: str
    template: str
    at: float
    reference: str | None
    to: str | None = None
    """The recipient, masked as in the invoice's own record."""
    amount: str | None = None
    tenant: str | None = None
    """Whose name it shows."""


@dataclass(slots=True)
class Seen:
    """A whole run; dictionaries are by invoice id, or by :data:`Candidate`."""

    run: Record = field(default_factory=dict)
    invoices: dict[str, Record] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    paid_at: dict[str, float] = field(default_factory=dict)
    totals: dict[str, str] = field(default_factory=dict)
    changed_at: dict[str, float] = field(default_factory=dict)
    """When the total got to be what it is in ``totals``."""
    answers: list[Record] = field(default_factory=list)
    forged_posts: dict[str, Record] = field(default_factory=dict)
    forged_answers: list[Record] = field(default_factory=list)
    forged_invoices: set[str] = field(default_factory=set)
    poisons: list[Record] = field(default_factory=list)
    strikes: list[Record] = field(default_factory=list)
    messages: dict[Candidate, list[Message]] = field(default_factory=lambda: defaultdict(list))
    nameless: list[Record] = field(default_factory=list)
    journal: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    intents: dict[Candidate, Record] = field(default_factory=dict)
    planned: Counter[Candidate] = field(default_factory=Counter)
    """How many intents the ledger has of each."""
    decisions: dict[Candidate, list[Record]] = field(default_factory=lambda: defaultdict(list))
    snapshots: dict[str, Record] = field(default_factory=dict)
    attempts: list[Record] = field(default_factory=list)
    letters: dict[str, Record] = field(default_factory=dict)
    leaks: list[Record] = field(default_factory=list)
    waiting: dict[str, Record] = field(default_factory=dict)
    queues: list[Record] = field(default_factory=list)
    faults: list[FaultSpan] = field(default_factory=list)
    left_out: list[Record] = field(default_factory=list)
    remembered: list[Record] = field(default_factory=list)
    processes: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Name → the pids of all the processes that had it, one after the other."""
    attacks: list[Attack] = field(default_factory=list)
    replicas: list[Record] = field(default_factory=list)
    minorities: list[tuple[float, float]] = field(default_factory=list)
    """From when to when no majority of a cluster's nodes was there."""

    @property
    def accepted(self) -> list[Input]:
        return [item for item in self.inputs if item.accepted_at is not None]

    def ended(self, service: str) -> int:
        """How many of its processes ended, however they did; its replicas together."""
        own = [pids for name, pids in self.processes.items() if name.rpartition("-")[0] == service]
        return sum(len(pids) - 1 for pids in own)

    def clock_moved(self, began: float, ended: float) -> bool:
        """Whether the ledger's own times may be wrong then."""
        return any(span.moves_clock and span.touches(began, ended) for span in self.faults)

    def door_shut(self, answer: Record) -> bool:
        """Who is killed or stopped cannot answer."""
        at = answer["at"]
        return any(span.shuts_door and span.strikes(at - answer["ms"] / 1000, at) for span in self.faults)

    def peace(self, began: float, ended: float) -> float:
        """How many seconds between the two no fault was on, nor anything that one had left."""
        return peace(self.faults, began, ended)


def message_kind(template: str) -> str:
    """A reminder is what is neither an alert nor a thank-you."""
    return next((kind for opening, kind in _OPENINGS.items() if template.startswith(opening)), REMINDER)


def see(records: Sequence[Record]) -> Seen:
    """Put a history in order; it may still be going on."""
    seen = Seen()
    by_what: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_what[record["what"]].append(record)
    seen.run = by_what["run"][0] if by_what["run"] else {}
    seen.invoices = {row["invoice"]: row for row in by_what["invoice"]}
    for row in by_what["change"]:
        if row["to"] == PAID:
            seen.paid_at.setdefault(row["invoice"], row["at"])
        else:
            seen.totals[row["invoice"]], seen.changed_at[row["invoice"]] = row["value"], row["at"]
    _see_posts(seen, by_what["post"], by_what["answer"])
    for row in by_what["scan"]:
        accepted_at = row["at"] if row["accepted"] else None
        kind, asked_at = row.get("kind", REMINDER), row["asked_at"]
        seen.inputs += [Input(one, row["tenant"], kind, asked_at, accepted_at) for one in row["invoices"]]
    seen.poisons = by_what["poison"]
    seen.strikes = by_what["strike"]
    _see_journal(seen, by_what["journal"])
    see_ledger(seen, [row for what in ("intent", "decision", "snapshot", "attempt") for row in by_what[what]])
    for row in by_what["dead"]:
        seen.letters.update(dict.fromkeys(row["ids"], row))
    seen.leaks = by_what["leak"]
    for row in by_what["waiting"]:
        seen.waiting.update(dict.fromkeys(row["ids"], row))
    seen.queues = by_what["queue"]
    seen.left_out = by_what["left_out"]
    seen.remembered = by_what["remembered"]
    for row in by_what["process"]:
        seen.processes[row["name"]].add(row["pid"])
    seen.attacks = see_attacks(records)
    seen.faults = spans_of(by_what["fault"])
    seen.replicas = by_what["replicas"]
    for row in by_what["majority"]:
        if row["gone"]:
            seen.minorities.append((row["at"], math.inf))
        else:
            seen.minorities[-1] = (seen.minorities[-1][0], row["at"])
    return seen


def see_ledger(seen: Seen, rows: Iterable[Record]) -> None:
    """Take in rows of the ledger's export."""
    for row in rows:
        match row["what"]:
            case "intent":
                seen.intents[row["invoice"], row["kind"]] = row
                seen.planned[row["invoice"], row["kind"]] += 1
            case "decision":
                seen.decisions[row["invoice"], row["kind"]].append(row)
            case "snapshot":
                seen.snapshots[row["invoice"]] = row
            case "attempt":
                seen.attempts.append(row)


def _see_posts(seen: Seen, posts: Iterable[Record], answers: Iterable[Record]) -> None:
    accepted: dict[str, float] = {}
    forged = {row["post"]: row for row in posts if row["forged"]}
    for row in answers:
        if row["post"] in forged:
            seen.forged_answers.append(row)
            continue
        seen.answers.append(row)
        if row["status"] == 200:
            accepted.setdefault(row["post"], row["at"])
    seen.forged_posts = forged
    for row in posts:
        if row["forged"]:
            seen.forged_invoices.update(event["invoice"] for event in row["events"])
            continue
        for event in row["events"]:
            taken = accepted.get(row["post"])
            seen.inputs.append(Input(event["invoice"], event["tenant"], event["kind"], row["at"], taken))


def _see_journal(seen: Seen, rows: Iterable[Record]) -> None:
    numbers = {row["number"]: invoice for invoice, row in seen.invoices.items()}
    for row in rows:
        seen.journal[row["kind"]].append(row)
        if row["kind"] != "whatsapp.message":
            continue
        invoice = numbers.get(row.get("number") or "")
        if invoice is None:
            seen.nameless.append(row)
            continue
        kind = message_kind(row["template"])
        message = Message(
            invoice,
            kind,
            row["template"],
            row["at"],
            row.get("reference"),
            row.get("to"),
            row.get("amount"),
            row.get("tenant"),
        )
        seen.messages[invoice, kind].append(message)
