"""Xero's limits, counted again from the journal: calls in any minute and calls in flight, per organisation."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from chaos.history import Record

PER_MINUTE = 60
AT_ONCE = 5
_MINUTE = 59.9
"""The journal writes a call down when it is answered, the provider counts it when it arrives."""
_NOT_COUNTED = frozenset({401, 403, 429})


def most_in_a_minute(arrivals: Sequence[float], window: float = _MINUTE) -> int:
    """The most arrivals in any stretch of ``window`` seconds."""
    ordered, most, first = sorted(arrivals), 0, 0
    for last, arrival in enumerate(ordered):
        while arrival - ordered[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


def most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    """The most spans that overlap; one that ends when another begins does not meet it."""
    turns = sorted((at, change) for began, ended in spans for at, change in ((began, 1), (ended, -1)))
    now = most = 0
    for _, change in turns:
        now += change
        most = max(most, now)
    return most


def breaches(calls: Iterable[Record], told: Iterable[Record]) -> list[str]:
    """One line a breach: those the double itself noticed, and those that its journal shows."""
    lines = [f"{row['tenant']}: {row['rule']}" for row in told if str(row["rule"]).startswith("limit_")]
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in calls:
        if row.get("tenant") and row["status"] not in _NOT_COUNTED:
            spans[row["tenant"]].append((row["at"] - row["ms"] / 1000, row["at"]))
    for tenant, own in spans.items():
        if (most := most_in_a_minute([began for began, _ in own])) > PER_MINUTE:
            lines.append(f"{tenant}: {most} calls within a minute")
        if (most := most_at_once(own)) > AT_ONCE:
            lines.append(f"{tenant}: {most} calls at once")
    return lines
