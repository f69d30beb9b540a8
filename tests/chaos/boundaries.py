"""What became of the events that a process had in hand when it died at a named point."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chaos.history import Record
from chaos.outcomes import Outcome
from chaos.seen import Input, Seen

_RECENT = 15.0
"""What was accepted so many seconds before is called under way, where the process held no event itself: of the
organisation whose work it did, where that is known."""
_OLD = 60.0
"""A message so much older than the death was not in hand any more, whatever was."""

Judged = Sequence[tuple[Input, Outcome]]


@dataclass(slots=True)
class Boundary:
    """``point`` is ``‹service›-‹name›``; ``became`` counts events by their end.

    ``held``: they were in the process's hand; else they were under way somewhere.
    """

    point: str
    times: int = 0
    held: bool = False
    became: Counter[str] = field(default_factory=Counter)


def boundaries(seen: Seen, ends: Judged) -> list[Boundary]:
    """One for each point that was reached, in the order of their names."""
    found: dict[str, Boundary] = {}
    invoices = _invoices_by_id(seen)
    for strike in seen.strikes:
        boundary = found.setdefault(strike["point"], Boundary(strike["point"]))
        boundary.times += 1
        held = {invoices[one] for one in strike["ids"] if one in invoices}
        events = list(_in_hand(seen, ends, strike, held))
        boundary.held = boundary.held or bool(held)
        boundary.became.update(outcome.end.value for _, outcome in events)
    return [found[point] for point in sorted(found)]


def _invoices_by_id(seen: Seen) -> dict[str, str]:
    """An invoice's own id, a message's of the ledger or an attempt's → the invoice."""
    ids = {invoice: invoice for invoice in seen.invoices}
    ids |= {row["intent_id"]: invoice for (invoice, _), row in seen.intents.items() if "intent_id" in row}
    return ids | {row["reference"]: row["invoice"] for row in seen.attempts}


def _in_hand(seen: Seen, ends: Judged, strike: Record, held: set[str]) -> Iterable[tuple[Input, Outcome]]:
    at = strike["at"]
    tenants = {event.tenant for event in seen.inputs}.intersection(strike["ids"])
    for event, outcome in ends:
        messages = seen.messages.get((event.invoice, event.kind), ())
        if messages and messages[0].at < at - _OLD:
            continue
        if not held and tenants and event.tenant not in tenants:
            continue
        accepted_at = event.accepted_at or 0.0
        if event.invoice in held and event.offered_at <= at if held else at - _RECENT <= accepted_at <= at:
            yield event, outcome
