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
    reached = sum(one.point in titles for one in boundaries)
    return [
        "## Commit boundaries",
        "",
        f"Processes ended themselves at {reached} of {len(titles)} named points. What they had in hand there, or where",
        "they held no event themselves what was accepted in the quarter of a minute before, became:",
        "",
        *table(("point", "where", "times", "became of the events"), rows),
        "",
    ]
