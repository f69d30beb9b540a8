"""When each fault of a run was on, and how much peace there was between."""

from collections.abc import Iterable
from dataclasses import dataclass

from chaos.history import Record


@dataclass(slots=True)
class FaultSpan:
    """One fault from its begin to its end; ``recovered_at`` is None when the harness waited in vain.

    ``ready`` is how many seconds after the end every process answered again: every one of ``service``, where it took
    down that alone.
    """

    number: int
    name: str
    began_at: float
    ended_at: float
    kills: int
    loses_answers: bool
    shuts_door: bool = False
    moves_clock: bool = False
    back_within: float = 0.0
    recovered_at: float | None = None
    ready: float | None = None
    hit: bool = True
    service: str = ""

    def strikes(self, began: float, ended: float) -> bool:
        """Whether ``touches``; where it took down one service alone, only until that was ready again."""
        if not self.service:
            return self.touches(began, ended)
        return self.began_at <= ended and began <= self.ended_at + (60 if self.ready is None else self.ready)

    def touches(self, began: float, ended: float) -> bool:
        """Whether it, or what it left to be worked off, was on at any time between the two."""
        return self.began_at <= ended and began <= self.quiet_at

    @property
    def quiet_at(self) -> float:
        """When what it had left was worked off, as far as one knows."""
        return self.recovered_at or self.ended_at + 60


def peace(faults: Iterable[FaultSpan], began: float, ended: float) -> float:
    """How many seconds between the two no fault was on, nor anything that one had left."""
    left, reached = 0.0, began
    for span in sorted(faults, key=lambda one: one.began_at):
        if span.touches(reached, ended):
            left += max(0.0, span.began_at - reached)
            reached = max(reached, span.quiet_at)
    return left + max(0.0, ended - reached)


def spans_of(rows: Iterable[Record]) -> list[FaultSpan]:
    """The faults of a history, by their numbers."""
    spans: dict[int, FaultSpan] = {}
    for row in rows:
        number = row["number"]
        match row["phase"]:
            case "begin":
                kills, loses = row.get("kills", 0), row.get("loses_answers", False)
                shut = row.get("shuts_door", False)
                moved = row.get("moves_clock", False)
                within = row.get("back_within", 0.0)
                spans[number] = FaultSpan(number, row["name"], row["at"], row["at"], kills, loses, shut, moved, within)
                spans[number].service = row.get("service", "")
            case "end":
                spans[number].ended_at = row["at"]
                spans[number].kills = row.get("kills", spans[number].kills)
            case "recovered":
                spans[number].recovered_at = row["at"]
                spans[number].ready = row.get("ready")
            case "missed":
                spans[number].hit = False
    return [spans[number] for number in sorted(spans)]
