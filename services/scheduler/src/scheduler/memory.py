"""What a replica remembers as done, so that claims that are wiped can be put back."""

from collections import deque

from scheduler.due import Moment
from shared.contracts.scans import ScanKind

_EACH = 16
"""Moments of a tenant and kind: the newest counts, the others are for clocks that are set back."""


class Memory:
    """The latest moments of every tenant; in this process alone."""

    def __init__(self) -> None:
        self._done: dict[tuple[str, ScanKind], deque[Moment]] = {}

    def add(self, moment: Moment) -> None:
        kept = self._done.setdefault((moment.tenant_id, moment.kind), deque(maxlen=_EACH))
        if moment not in kept:
            kept.append(moment)

    def __contains__(self, moment: Moment) -> bool:
        return moment in self._done.get((moment.tenant_id, moment.kind), ())

    def all(self) -> list[Moment]:
        return [moment for kept in self._done.values() for moment in kept]
