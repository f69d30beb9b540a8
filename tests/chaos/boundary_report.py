"""The part of a report that tells where processes ended themselves, and what they had in hand."""

from collections.abc import Sequence

from chaos.boundaries import Boundary
from chaos.points import POINTS
from chaos.tables import counted, table


def commit_boundaries(boundaries: Sequence[Boundary]) -> list[str]:
    if not boundaries:
        return []
    titles = {point.title: point for point in POINTS}
    rows = [
        (
            one.point,
            titles[one.point].says if one.point in titles else "a message that kills whoever takes it",
            str(one.times),
            ("in hand: " if one.held else "under way: ") + (counted(one.became) or "none"),
        )
        for one in boundaries
    ]
    times = {one.point: one.times for one in boundaries}
    counts = [times.get(title, 0) for title in titles]
    rows += [(title, point.says, "0", "-") for title, point in titles.items() if title not in times]
    reached = sum(count > 0 for count in counts)
    return [
        "## Commit boundaries",
        "",
        f"Processes ended themselves at {reached} of {len(titles)} named points. What they had in hand there, or where",
        "they held no event themselves what was accepted in the quarter of a minute before, became the following. Each",
        f"point was reached {min(counts)} times at least and {max(counts)} at most.",
        "",
        *table(("point", "where", "times", "became of the events"), rows),
        "",
    ]
