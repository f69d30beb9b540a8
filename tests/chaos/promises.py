"""Checks that nothing honest is turned away, given up or left unsaid without a reason that the history shows."""

from collections.abc import Iterator

from chaos.history import Record
from chaos.outcomes import End, outcome_of
from chaos.parked import GIVEN_UP, deaths_of_poison
from chaos.seen import REMINDER, Input, Seen
from chaos.violation import Violation

_ANSWERS = frozenset({200, 503})
_TOLD = frozenset({"accepted", "sent", "delivered", "read", "unknown"})
_GIVEN_UP_AFTER = 60.0
"""Seconds; what a dead sender had in hand has no end of its own."""
_CLOCK_MOVED_BY = 3600.0
_SENDS = frozenset({"", "notifier"})
_COUNTED_ELSEWHERE = ("token_reuse", "limit_")


def turned_away(seen: Seen) -> Iterator[Violation]:
    """An honest post is taken, or put off; while the door is up it is answered."""
    for row in seen.answers:
        if row["status"] is None and not seen.door_shut(row):
            yield Violation("turned_away", row["post"], f"not answered: {row['error']}")
        elif row["status"] is not None and row["status"] not in _ANSWERS:
            yield Violation("turned_away", row["post"], f"answered {row['status']}")


def never_accepted(seen: Seen) -> Iterator[Violation]:
    """What is repeated for long enough is taken; a scan that was refused is not repeated."""
    taken = {(event.invoice, event.kind) for event in seen.accepted}
    left = {(event.invoice, event.kind): event for event in seen.inputs if event.kind != REMINDER}
    for candidate, event in left.items():
        # A message shows that the event was in, though no answer said so.
        if candidate not in taken and not seen.messages.get(candidate):
            yield Violation("never_accepted", event.invoice, f"{event.kind}, last offered at {event.offered_at:.3f}")


def parked_needlessly(seen: Seen) -> Iterator[Violation]:
    """The ladder lasts for hours, longer than any fault: nothing honest is set aside in a run."""
    killers = deaths_of_poison(seen).keys()
    for event in seen.accepted:
        outcome = outcome_of(event, seen)
        if outcome.end is not End.PARKED or _state(event, seen) == "failed":
            continue
        letter = seen.letters.get(event.invoice)
        # One body with what ends its consumer is given up whole.
        if letter is None or letter["reason"] not in GIVEN_UP or killers.isdisjoint(letter["ids"]):
            yield Violation("parked_needlessly", event.invoice, f"{event.kind}: {outcome.why}")


def _state(event: Input, seen: Seen) -> str | None:
    intent = seen.intents.get((event.invoice, event.kind))
    return None if intent is None else intent["state"]


def unexplained_unknown(seen: Seen) -> Iterator[Violation]:
    """Whether WhatsApp has it stays open only where a fault was on while it was being sent."""
    for (invoice, kind), intent in seen.intents.items():
        if intent["state"] != "unknown":
            continue
        own = [row for row in seen.attempts if (row["invoice"], row["kind"]) == (invoice, kind)]
        if not any(_disturbed(row, seen) for row in own if row["outcome"] in {None, "unknown"}):
            yield Violation("unexplained_unknown", invoice, f"{kind}: {intent['reason']}, and no fault was on")


def _disturbed(attempt: Record, seen: Seen) -> bool:
    began = attempt["started_at"]
    ended = attempt["ended_at"] or began + _GIVEN_UP_AFTER
    # A clock that was moved may have written down another hour.
    wrong = {True: _CLOCK_MOVED_BY, False: 0.0}
    return any(
        span.strikes(began - wrong[span.moves_clock], ended + wrong[span.moves_clock])
        for span in seen.faults
        # Who sends is not disturbed by the death of another service.
        if span.service in _SENDS
    )


def failed(seen: Seen) -> Iterator[Violation]:
    """Nothing in this load deserves to be refused for good."""
    for (invoice, kind), intent in seen.intents.items():
        if intent["state"] == "failed":
            yield Violation("failed", invoice, f"{kind}: {intent['reason']}")


def unrecorded(seen: Seen) -> Iterator[Violation]:
    """What WhatsApp has taken, the ledger calls sent, or does not know; what it calls otherwise could go out again."""
    died = seen.ended("notifier") > 0
    for (invoice, kind), messages in seen.messages.items():
        state = seen.intents.get((invoice, kind), {}).get("state")
        if not messages or state is None or state in _TOLD or (state == "sending" and died):
            continue
        yield Violation("unrecorded", invoice, f"WhatsApp took its {kind}, and the ledger says {state}")


def broken_rules(seen: Seen) -> Iterator[Violation]:
    """Whatever else the double of Xero notes as a breach, no honest client does."""
    for row in seen.journal["xero.breach"]:
        if not str(row["rule"]).startswith(_COUNTED_ELSEWHERE):
            yield Violation("broken_rules", str(row.get("tenant") or ""), str(row["rule"]))
