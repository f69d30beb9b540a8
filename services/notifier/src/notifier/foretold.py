"""What a forecast says: the messages to be, and the invoices that get none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from notifier.model import Snapshot
from shared.contracts.messages import MessageKind


@dataclass(frozen=True, slots=True)
class Coming:
    """A message-to-be. ``at`` is when it leaves, or could leave were it not for ``held_by``; ``zone`` its recipient's.

    ``known``: it is in the ledger already.
    """

    at: datetime
    zone: str
    snapshot: Snapshot
    kind: MessageKind
    stage: int | None
    template: str | None
    held_by: tuple[str, ...]
    known: bool


@dataclass(frozen=True, slots=True)
class Silent:
    """An invoice that gets no message, with every rule that says so, in the order in which they come to apply."""

    snapshot: Snapshot
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """``zone`` is the organisation's; None when none of its invoices was ever read."""

    now: datetime
    until: datetime
    zone: str | None
    scans: tuple[datetime, ...] = ()
    coming: tuple[Coming, ...] = ()
    silent: tuple[Silent, ...] = ()

    def of_day(self, start: datetime, end: datetime) -> Sequence[Coming]:
        return [item for item in self.coming if start <= item.at < end]
