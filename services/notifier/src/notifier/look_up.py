"""Settles messages that may have been sent, with a provider that tells what it took.

Finding one settles it; finding none never does, since a message may be listed late or not at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from notifier.ports import Accepted, Attempt, Ledger
from notifier.providers import Provider, Sought
from notifier.telemetry import SenderLog
from shared.contracts.messages import MessageChangedV1
from shared.runtime.service import Stop

LOOK_EVERY = timedelta(seconds=30)
GIVE_UP_AFTER = timedelta(days=1)
AT_ONCE = 20
"""So few are asked about in one round that a long outage's do not use up the provider's patience."""
_SKEW = timedelta(seconds=5)
"""How far the provider's clock may be from ours."""
_LONGEST_POST = timedelta(seconds=30)
"""Longer than any POST's deadline: what was taken later than this after its claim was not this attempt's."""


@dataclass(frozen=True, slots=True)
class InDoubt:
    """An attempt that nobody has answered for; ``says`` stands in the text of its message.

    ``unknown``: its message waits to be settled; else it is being sent, or was given up.
    """

    attempt: Attempt
    started_at: datetime
    says: str
    unknown: bool = True


class Doubts(Protocol):
    async def in_doubt(self, since: datetime, now: datetime) -> Sequence[InDoubt]:
        """The sender's attempts in doubt that began since then, newest first."""

    async def unclaimed(self, ids: Sequence[str]) -> Sequence[str]:
        """Those of the provider's ids that no attempt has."""


class LookUp:
    """Any number may run at once: what two find is the same, and recorded once."""

    def __init__(
        self,
        doubts: Doubts,
        ledger: Ledger,
        provider: Provider,
        *,
        clock: Callable[[], datetime],
        log: SenderLog,
        told: Callable[[], None],
    ) -> None:
        """``told`` says that the outbox holds something new."""
        self._doubts = doubts
        self._ledger = ledger
        self._provider = provider
        self._clock = clock
        self._log = log
        self._told = told
        self._next_at: dict[str, datetime] = {}

    async def run(self, stop: Stop) -> None:
        while not stop.is_set():
            await self.run_once()
            await stop.wait(LOOK_EVERY.total_seconds())

    async def run_once(self) -> None:
        """Ask about what is due, each ever more rarely."""
        now = self._clock()
        doubts = await self._doubts.in_doubt(now - GIVE_UP_AFTER, now)
        known = {doubt.attempt.reference for doubt in doubts}
        self._next_at = {reference: at for reference, at in self._next_at.items() if reference in known}
        due = [doubt for doubt in doubts if doubt.unknown and self._next_at.get(doubt.attempt.reference, now) <= now]
        for doubt in due[:AT_ONCE]:
            age = now - doubt.started_at
            self._next_at[doubt.attempt.reference] = now + max(age, LOOK_EVERY)
            if not any(may_be_mistaken(doubt, other) for other in doubts):
                await self._look(doubt, now)

    async def _look(self, doubt: InDoubt, now: datetime) -> None:
        found = await self._provider.look_up(window(doubt))
        unclaimed = await self._doubts.unclaimed(found)
        # Two that fit are one too many: which of them is this attempt's cannot be told.
        if len(unclaimed) == 1:
            outcome = Accepted(unclaimed[0])
            self._log.attempted(doubt.attempt.intent_id, outcome)
            self._note(await self._ledger.settle(doubt.attempt, outcome, now))

    def _note(self, changes: Sequence[MessageChangedV1]) -> None:
        for change in changes:
            self._log.changed(change)
        if changes:
            self._told()


def window(doubt: InDoubt) -> Sought:
    """What the attempt's message would look like to the provider."""
    return Sought(doubt.attempt.phone, doubt.started_at - _SKEW, doubt.started_at + _LONGEST_POST + _SKEW, doubt.says)


def may_be_mistaken(doubt: InDoubt, other: InDoubt) -> bool:
    """Whether a message found for one could as well be the other's."""
    near = abs(doubt.started_at - other.started_at) <= _LONGEST_POST + 2 * _SKEW
    different = doubt.attempt.reference != other.attempt.reference
    return different and near and doubt.attempt.phone == other.attempt.phone and doubt.says in other.says
