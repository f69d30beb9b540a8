"""What a history says of attacks on the door: what was thrown at it, how honest senders fared, and how the door did."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chaos.history import Record

LARGE = "large"


@dataclass(slots=True)
class Attack:
    """One attack; ``samples`` are of ingress, in order: its pid, bytes of memory and open files.

    ``full``: it was long and large enough to judge times and growth by it.
    """

    name: str
    began_at: float
    full: bool
    hostile: list[Record] = field(default_factory=list)
    honest: list[Record] = field(default_factory=list)
    samples: list[Record] = field(default_factory=list)

    @property
    def sent(self) -> int:
        return sum(row["sent"] for row in self.hostile)

    @property
    def ended_at(self) -> float:
        return max((row["at"] for row in (*self.honest, *self.samples)), default=self.began_at)

    @property
    def answers(self) -> Counter[str]:
        return sum((Counter(row["answers"]) for row in self.hostile), Counter[str]())

    @property
    def waits(self) -> Sequence[float]:
        """Milliseconds of every answer to an honest sender of what is not large."""
        return [row["ms"] for row in self.honest if row["kind"] != LARGE]

    @property
    def large_waits(self) -> Sequence[float]:
        """Of the large ones, which wait for their turn by design, and are repeated when it does not come."""
        return [row["ms"] for row in self.honest if row["kind"] == LARGE]


def see_attacks(records: Iterable[Record]) -> list[Attack]:
    """In the order in which they began."""
    rows: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if "attack" in record:
            rows[record["attack"]].append(record)
    return [_attack(own) for own in rows.values()]


def _attack(rows: Sequence[Record]) -> Attack:
    attack = Attack("", rows[0]["at"], full=False)
    for row in rows:
        match row["what"]:
            case "attack":
                attack.name, attack.full = row["name"], row["full"]
            case "hostile":
                attack.hostile.append(row)
            case "honest":
                attack.honest.append(row)
            case "door":
                attack.samples.append(row)
    return attack
