"""What became of each accepted event: exactly one of a closed set of ends."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from chaos.seen import CHANGED, ISSUED, PAID, Input, Seen


class End(StrEnum):
    SENT = "sent"
    SUPPRESSED = "suppressed"
    PARKED = "parked"
    UNKNOWN = "unknown"
    PENDING = "pending"
    """Known to the ledger, and still to be sent when the run ended."""
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``why`` is a rule, a dead letter's reason or a state's."""

    end: End
    why: str = ""


_ENDS = {
    "unknown": End.UNKNOWN,
    "held": End.PARKED,
    "failed": End.PARKED,
    "cancelled": End.SUPPRESSED,
    "suppressed": End.SUPPRESSED,
    "planned": End.PENDING,
    "sending": End.PENDING,
}


def outcome_of(event: Input, seen: Seen) -> Outcome:
    """The end of one event; a message at WhatsApp counts for more than anything that the ledger says."""
    if event.kind == CHANGED:
        return _taken_in(event, seen) or _aside(event, seen)
    candidate = (event.invoice, event.kind)
    if seen.messages.get(candidate):
        return Outcome(End.SENT)
    intent = seen.intents.get(candidate)
    if intent is not None:
        # One that the ledger calls sent, and WhatsApp does not know, is lost like any other.
        return Outcome(_ENDS.get(intent["state"], End.LOST), intent["reason"] or intent["state"])
    skipped = [row for row in seen.decisions.get(candidate, ()) if row["verdict"] in {"skip", "suppress"}]
    if skipped:
        return Outcome(End.SUPPRESSED, skipped[-1]["rule"])
    return _never_owed(event, seen) or _aside(event, seen)


def _never_owed(event: Input, seen: Seen) -> Outcome | None:
    """Nobody is thanked for what was paid before anybody knew that it was owed."""
    issued = seen.decisions.get((event.invoice, ISSUED), ())
    snapshot = seen.snapshots.get(event.invoice)
    known = event.kind == PAID and snapshot is not None and snapshot["status"] == "PAID"
    return Outcome(End.SUPPRESSED, "never_owed") if known and any(row["rule"] == "paid" for row in issued) else None


def _taken_in(event: Input, seen: Seen) -> Outcome | None:
    snapshot, total = seen.snapshots.get(event.invoice), seen.totals.get(event.invoice)
    if snapshot is not None and total is not None and Decimal(snapshot["total"]) == Decimal(total):
        return Outcome(End.SUPPRESSED, "nothing_to_say")
    return None


def _aside(event: Input, seen: Seen) -> Outcome:
    if letter := seen.letters.get(event.invoice):
        return Outcome(End.PARKED, letter["reason"])
    if waiting := seen.waiting.get(event.invoice):
        return Outcome(End.PARKED, f"waits in {waiting['queue']}")
    return Outcome(End.LOST)


def judged(seen: Seen) -> list[tuple[Input, Outcome]]:
    """Every accepted event with its end."""
    return [(event, outcome_of(event, seen)) for event in seen.accepted]
