"""Rotation as the identity double saw it: how often tokens were renewed, and every token that was shown twice."""

from collections.abc import Iterable, Sequence

from chaos.history import Record
from chaos.spans import FaultSpan
from token_broker.timing import RefreshTiming

_LATE = 5.0
"""An answer that a fault swallowed is missed this much later at most."""
_SOONEST = RefreshTiming().deadline_seconds + RefreshTiming().margin_seconds
"""Seconds; a claim outlives by so much the last request that it covers."""


def expiries(calls: Iterable[Record]) -> int:
    return sum(row.get("grant") == "refresh_token" and row["status"] == 200 for row in calls)


def reuses(calls: Sequence[Record], told: Iterable[Record], faults: Iterable[FaultSpan]) -> list[str]:
    """One line a reuse.

    A token may be shown again when a fault was made to swallow the answer to the time before, and then only once no
    request of that time can be under way any more; where a clock was moved nobody can tell when that is.
    """
    faults = list(faults)
    lossy = [(span.began_at, span.ended_at + _LATE) for span in faults if span.loses_answers]
    lines = [f"refused as reused: {row.get('token')}" for row in told if row["rule"] == "token_reuse"]
    last: dict[str, float] = {}
    for row in calls:
        token = row.get("refresh_token")
        if row.get("grant") != "refresh_token" or not token or row["status"] not in {200, None}:
            continue
        shown = last.get(token)
        last[token] = row["at"]
        if shown is None:
            continue
        too_soon = row["at"] - shown < _SOONEST and not any(
            span.moves_clock and span.touches(shown, row["at"]) for span in faults
        )
        if too_soon or not any(began <= shown <= ended for began, ended in lossy):
            lines.append(f"shown again after {row['at'] - shown:.1f} s: {token}")
    return lines
