"""Replaces the tokens that are in use before they expire, each at a moment of its own, so that callers rarely wait."""

from dataclasses import dataclass, replace

from shared.errors import DuebellError
from token_broker.flights import for_each
from token_broker.ports import Grant
from token_broker.refresh import Refresher
from token_broker.timing import Pacing

_AT_ONCE = 32
_TRY_AGAIN_SECONDS = 5.0


@dataclass(frozen=True)
class InUse:
    """A grant that is asked for; the times are those of the monotonic clock."""

    grant: Grant
    asked_at: float
    due_at: float


class RefreshAhead:
    """Remembers which grants were asked for. Each replica has its own memory; the record lets one of them refresh."""

    def __init__(self, refresher: Refresher, pacing: Pacing) -> None:
        self._refresher = refresher
        self._pacing = pacing
        self._in_use: dict[str, InUse] = {}

    def note(self, grant: Grant) -> None:
        """Somebody was given this grant's token."""
        now = self._pacing.monotonic()
        known = self._in_use.get(grant.id)
        if known is not None and known.grant.generation == grant.generation:
            self._in_use[grant.id] = replace(known, asked_at=now)
        else:
            self._in_use[grant.id] = self._from(grant, now)

    async def __call__(self) -> None:
        """Refresh whatever is due now."""
        now = self._pacing.monotonic()
        due = [each for each in self._in_use.values() if each.due_at <= now]
        await for_each(due, self._refresh, _AT_ONCE)

    async def _refresh(self, due: InUse) -> None:
        seen, now = due.grant, self._pacing.monotonic()
        if now - due.asked_at > self._pacing.timing.warm((seen.expires_at - seen.refreshed_at).total_seconds()):
            self._in_use.pop(seen.id, None)
            return
        try:
            newest = await self._refresher.newer_than(seen, self._pacing.timing.patience_seconds)
        except DuebellError:
            newest = None
        known = self._in_use.get(seen.id, due)
        if newest is not None and newest.lost:
            self._in_use.pop(seen.id, None)
        elif newest is not None and newest.generation != seen.generation:
            self._in_use[seen.id] = self._from(newest, known.asked_at)
        else:
            self._in_use[seen.id] = replace(known, due_at=now + _wait(newest))

    def _from(self, grant: Grant, asked_at: float) -> InUse:
        left = (grant.expires_at - grant.read_at).total_seconds()
        lifetime = (grant.expires_at - grant.refreshed_at).total_seconds()
        ahead = self._pacing.timing.ahead(lifetime, self._pacing.chance())
        return InUse(grant, asked_at, self._pacing.monotonic() + left - ahead)


def _wait(grant: Grant | None) -> float:
    if grant is None or grant.not_before is None:
        return _TRY_AGAIN_SECONDS
    return max((grant.not_before - grant.read_at).total_seconds(), _TRY_AGAIN_SECONDS)
