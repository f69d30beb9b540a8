"""Checks of how much may be left behind by what dies, and how long what lives may take."""

from collections.abc import Iterator
from statistics import median

from chaos.seen import Candidate, Seen
from chaos.violation import Violation
from notifier.sender import IN_FLIGHT

REFUSED_WITHIN = 2500.0
SENT_WITHIN = 600.0
"""Seconds of peace; where nothing is broken a message takes some of them."""


def abandoned(seen: Seen) -> Iterator[Violation]:
    """A sender that dies leaves no more attempts without an end than it may have had in flight; else none is left."""
    if not seen.processes:
        return
    left, most = sum(row["outcome"] is None for row in seen.attempts), IN_FLIGHT * seen.ended("notifier")
    if left > most:
        yield Violation("abandoned", "notifier", f"{left} attempts have no end, and {most} may have none")


def late(seen: Seen) -> Iterator[Violation]:
    """What was accepted goes out within ten minutes, not counting those in which a fault was on or being worked off."""
    accepted: dict[Candidate, float] = {}
    for event in seen.accepted:
        if event.accepted_at is not None:
            candidate = (event.invoice, event.kind)
            accepted[candidate] = min(event.accepted_at, accepted.get(candidate, event.accepted_at))
    for (invoice, kind), at in accepted.items():
        for message in seen.messages.get((invoice, kind), ())[:1]:
            if (waited := seen.peace(at, message.at)) > SENT_WITHIN:
                yield Violation("late", invoice, f"{kind} went out after {waited:.0f} s in peace")


def slow_refusals(seen: Seen) -> Iterator[Violation]:
    """What cannot be taken is refused at once, half of all times within two and a half seconds."""
    refusals = [row["ms"] for row in seen.answers if row["status"] == 503]
    if refusals and median(refusals) > REFUSED_WITHIN:
        yield Violation("slow_refusals", "ingress", f"the median of {len(refusals)} is {median(refusals):.0f} ms")


def forgotten(seen: Seen) -> Iterator[Violation]:
    """Redis, killed, knows of every call to Xero that its scripts had written down before."""
    for row in seen.remembered:
        if row["forgotten"]:
            yield Violation("forgotten", "redis", f"{row['forgotten']} of {row['calls']} calls")


def late_return(seen: Seen) -> Iterator[Violation]:
    """Where a fault sets a bound, every process is ready again within it."""
    for span in seen.faults:
        if span.back_within and span.ready is not None and span.ready > span.back_within:
            details = f"fault {span.number}: {span.ready:.1f} s, not {span.back_within:.0f} s"
            yield Violation("late_return", span.name, details)
