"""The numbers of a run, for the report: counts, and how long answers and recoveries took."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from chaos import tokens
from chaos.attacked import Attack
from chaos.attacks.target import Due
from chaos.boundaries import Boundary, boundaries
from chaos.checks import violations
from chaos.outcomes import judged
from chaos.parked import deaths_of_poison
from chaos.seen import CHANGED, Seen
from chaos.spans import FaultSpan
from chaos.violation import Violation

_CLOSED = frozenset({"accepted", "sent", "delivered", "read", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Recovery:
    """Of one fault: seconds from its end until all processes were ready, and its backlog's first and last message.

    ``first`` and ``last`` are None where there was no backlog.
    """

    name: str
    lasted: float
    ready: float | None
    backlog: int
    first: float | None
    last: float | None


@dataclass(slots=True)
class Figures:
    """``ends`` counts accepted events by their end, ``found`` violations by their check."""

    events: int = 0
    offered: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    settled: int = 0
    messages: int = 0
    expiries: int = 0
    forged: int = 0
    calls: int = 0
    poisons: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    ack: Sequence[float] = ()
    refused: Sequence[float] = ()
    quiet: Sequence[float] = ()
    beside_killers: Sequence[float] = ()
    recoveries: list[Recovery] = field(default_factory=list)
    boundaries: list[Boundary] = field(default_factory=list)
    seconds: float = 0.0
    nodes: int = 1
    left_out: Counter[str] = field(default_factory=Counter)
    attacks: Sequence[Attack] = ()
    violations: list[Violation] = field(default_factory=list)


def figures_of(seen: Seen) -> Figures:
    """Everything that the report says of a run."""
    ends = judged(seen)
    figures = Figures(events=len(ends), offered=len(seen.inputs), violations=violations(seen))
    figures.ends = Counter(outcome.end.value for _, outcome in ends)
    figures.rules = Counter(f"{outcome.end.value}: {outcome.why}" for _, outcome in ends if outcome.why)
    figures.found = Counter(violation.check for violation in figures.violations)
    figures.kills = sum(span.kills for span in seen.faults) + deaths_of_poison(seen).total()
    figures.boundaries = boundaries(seen, ends)
    figures.faults = Counter(span.name for span in seen.faults)
    figures.unknown, figures.settled = _unknowns(seen)
    figures.messages = sum(map(len, seen.messages.values()))
    figures.expiries = tokens.expiries(seen.journal["xero.token"])
    figures.attacks = seen.attacks
    figures.forged = len(seen.forged_posts) + sum(
        row["sent"] for attack in seen.attacks for row in attack.hostile if row["due"] == Due.REFUSAL
    )
    figures.calls = len(seen.journal["xero.api"])
    figures.poisons = len(seen.poisons)
    figures.answers = Counter(str(row["status"] or "none") for row in seen.answers)
    figures.ack = [row["ms"] for row in seen.answers if row["status"] == 200]
    figures.refused = [row["ms"] for row in seen.answers if row["status"] == 503]
    figures.quiet = _delays_in_peace(seen)
    figures.beside_killers = _delays_beside_killers(seen)
    figures.left_out = Counter(f"{row['name']} ({row['why']})" for row in seen.left_out)
    figures.recoveries = [_recovery(span, seen) for span in seen.faults]
    figures.nodes = max((row["of"] for row in seen.replicas), default=1)
    times = [event.offered_at for event in seen.inputs]
    figures.seconds = max(times) - min(times) if times else 0.0
    return figures


def _unknowns(seen: Seen) -> tuple[int, int]:
    """Attempts whose end nobody was told of, and how many of them a later status has settled."""
    open_ended = [row for row in seen.attempts if row["outcome"] in {None, "unknown"}]
    return len(open_ended), sum(row["state"] in _CLOSED for row in open_ended)


def _done(seen: Seen) -> list[tuple[float, float]]:
    """Of each accepted event that led to a message: when it was accepted and when the message was."""
    pairs = []
    for event in seen.accepted:
        messages = seen.messages.get((event.invoice, event.kind)) if event.kind != CHANGED else None
        if messages and event.accepted_at is not None:
            pairs.append((event.accepted_at, messages[0].at))
    return pairs


def _delays_in_peace(seen: Seen) -> list[float]:
    """Seconds from 200 to message while nothing was broken."""
    spans = [(span.began_at, span.recovered_at or span.ended_at + 60) for span in seen.faults]
    return [
        sent - accepted
        for accepted, sent in _done(seen)
        if sent >= accepted and not any(began <= sent and accepted <= mended for began, mended in spans)
    ]


def _delays_beside_killers(seen: Seen) -> list[float]:
    """Seconds from 200 to message of what was accepted while a message ended each process that took it."""
    spans = [(span.began_at, span.ended_at) for span in seen.faults if span.name.startswith("poison-kills")]
    return [
        sent - accepted
        for accepted, sent in _done(seen)
        if sent >= accepted and any(began <= accepted <= ended for began, ended in spans)
    ]


def _recovery(span: FaultSpan, seen: Seen) -> Recovery:
    backlog = [sent for accepted, sent in _done(seen) if accepted <= span.ended_at < sent]
    first, last = (min(backlog), max(backlog)) if backlog else (None, None)
    return Recovery(
        span.name,
        span.ended_at - span.began_at,
        span.ready,
        len(backlog),
        None if first is None else first - span.ended_at,
        None if last is None else last - span.ended_at,
    )
