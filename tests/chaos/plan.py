"""Which faults a run has, in which order, and for how long it may go on; decided by the seed alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from chaos.faults import FAULTS, Fault

_NIGHT_KILLS = 60


@dataclass(frozen=True)
class Plan:
    """``rate`` is deliveries a second, of one to three events.

    No fault begins after ``seconds``; recovery is given up when nothing has moved for ``patience`` seconds.

    ``overlapping``: the next fault does not wait until the backlog of the one before is worked off.
    """

    size: str
    faults: tuple[Fault, ...]
    rate: float
    tenants: int
    seconds: float
    patience: float
    overlapping: bool = False


def plan_of(size: str, seed: int, faults: Mapping[str, Fault] = FAULTS) -> Plan:
    """``pr``, ``night``, or faults by name with commas between; raises KeyError for one that there is not."""
    dice = Random(f"{seed} plan")
    if size == "pr":
        short = [fault for fault in faults.values() if fault.short]
        dice.shuffle(short)
        # They overlap: what happens in the silence after an emptied Redis would meet nothing.
        short.sort(key=lambda fault: fault.silences)
        return Plan(size, tuple(short), rate=3, tenants=3, seconds=110, patience=75, overlapping=True)
    if size == "night":
        kills = [fault for fault in faults.values() if fault.kills]
        chosen = [*faults.values(), *(dice.choice(kills) for _ in range(_NIGHT_KILLS))]
        dice.shuffle(chosen)
        return Plan(size, tuple(chosen), rate=3, tenants=4, seconds=3 * 3600, patience=240)
    named = tuple(faults[name] for name in size.split(","))
    return Plan(size, named, rate=2, tenants=2, seconds=3600, patience=200)
