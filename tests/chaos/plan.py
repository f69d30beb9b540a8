"""Which faults a run has, in which order, and for how long it may go on; decided by the seed alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from chaos.databases import Kind
from chaos.faults import FAULTS, Fault

_NIGHT_KILLS = 60
_LONGEST_PAUSE = 420.0
"""What is held at many deaths in a row is put off for up to five minutes."""
_SHORT_SECONDS = 8.0
"""No fault of the short run lasts longer: far longer than any deadline behind the door."""
_SETTLED_LATE = "kill-notifier"
"""What a dead sender had in hand is given up after a minute."""
_ORGANISATIONS = 6
"""While a dead token-broker's claim stands, its organisation gets no token; the others go on."""
_PEACE = 1.5
"""Each lane of the points waits for its own service before."""


@dataclass(frozen=True)
class Plan:
    """``rate`` is deliveries a second, of one to three events.

    No fault begins after ``seconds``; recovery is given up when nothing has moved for ``patience`` seconds, which is
    longer than the two minutes for which a message that tries a breaker may stay without an end.

    ``overlapping``: a fault does not wait until the backlog of the one before is worked off, and each lane
    goes on by itself. Between two there are ``peace`` seconds.

    ``full``: attacks on the door have the size that is published.

    ``may_end_early``: faults for which no time is left are no failure.

    ``apart``: each organisation has a grant of its own, so that a claim on one does not hold up the others.

    ``in_round``: so many faults are a round, which begins when all of the one before are through; 0: all of them are.
    """

    size: str
    faults: tuple[Fault, ...]
    rate: float
    tenants: int
    seconds: float
    patience: float
    overlapping: bool = False
    peace: float = 3.0
    full: bool = True
    may_end_early: bool = False
    in_round: int = 0
    apart: bool = False


def plan_of(
    size: str, seed: int, faults: Mapping[str, Fault] = FAULTS, rounds: int = 1, database: Kind = "sqlite"
) -> Plan:
    """``pr``, ``night``, ``hostile``, ``points``, ``cluster``, or names with commas; KeyError for an unknown one.

    ``rounds``: how often each fault of ``points``, or of those named, is played. ``database``: where the services keep
    what they know; no plan chooses a fault of another kind, and one that is named is left out when its turn comes.
    """
    named = faults
    faults = {name: fault for name, fault in faults.items() if fault.database in {"", database}}
    dice = Random(f"{seed} plan")
    if size == "pr":
        short = [replace(fault, seconds=min(fault.seconds, _SHORT_SECONDS)) for fault in faults.values() if fault.short]
        dice.shuffle(short)
        _early(short, dice)
        plan = Plan(size, tuple(short), rate=3, tenants=4, seconds=600, patience=150, overlapping=True, peace=1.0)
        return replace(plan, full=False)
    if size == "cluster":
        clustered = tuple(fault for fault in faults.values() if fault.cluster)
        return Plan(size, clustered, rate=1, tenants=2, seconds=3600, patience=240)
    if size == "night":
        one_node = [fault for fault in faults.values() if not fault.cluster]
        kills = [fault for fault in one_node if fault.kills]
        chosen = [*one_node, *(dice.choice(kills) for _ in range(_NIGHT_KILLS))]
        dice.shuffle(chosen)
        return Plan(size, tuple(chosen), rate=3, tenants=4, seconds=3 * 3600, patience=240, may_end_early=True)
    if size == "hostile":
        chosen = [fault for name, fault in faults.items() if name.startswith("hostile-")]
        dice.shuffle(chosen)
        return Plan(size, tuple(chosen), rate=2, tenants=2, seconds=3600, patience=200)
    if size == "points":
        boundaries = [fault for fault in faults.values() if fault.at_point]
        chosen = [fault for _ in range(rounds) for fault in dice.sample(boundaries, len(boundaries))]
        plan = Plan(size, tuple(chosen), rate=5, tenants=_ORGANISATIONS, seconds=8 * 3600, patience=_LONGEST_PAUSE)
        return replace(plan, overlapping=True, peace=_PEACE, in_round=len(boundaries), apart=True)
    chosen = [named[name] for name in size.split(",")] * rounds
    return Plan(size, tuple(chosen), rate=2, tenants=2, seconds=3600, patience=200)


def _early(faults: list[Fault], dice: Random) -> None:
    """Other faults fill the minute in which nothing else would happen."""
    for fault in [each for each in faults if each.name == _SETTLED_LATE]:
        faults.remove(fault)
        faults.insert(dice.randrange(4), fault)
