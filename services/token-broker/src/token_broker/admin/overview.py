"""What an operator is shown of the organisations and the grants behind them; never a token."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Refresh = Literal["none", "claimed", "unknown", "backing_off"]
"""Nothing to tell; a refresh is under way; one ended without anybody knowing how; the next is put off."""

_SHORT = 8


@dataclass(frozen=True)
class GrantState:
    """The columns that tell how a grant's refreshes go; ``now`` is the clock that judges them."""

    claimed_until: datetime | None
    unknown_since: datetime | None
    not_before: datetime | None
    failures: int
    refusals: int
    now: datetime


@dataclass(frozen=True)
class Shown:
    """One organisation. ``since`` is when it got its status, ``reason`` why it was lost.

    ``grant`` tells grants apart, no more. What follows it is None or empty when the grant is lost. ``key`` is the id of
    the key that seals the refresh token.
    """

    tenant_id: str
    tenant_name: str
    status: str
    reason: str
    since: datetime
    grant: str
    refreshed_at: datetime | None
    expires_at: datetime | None
    refresh: Refresh | None
    key: str


class Overview(Protocol):
    async def __call__(self) -> Sequence[Shown]:
        """All organisations that were ever connected, by name."""
        ...


def refresh_of(state: GrantState) -> Refresh:
    """How the grant's refreshes stand at ``now``."""
    if state.claimed_until is not None and state.claimed_until > state.now:
        return "claimed"
    if state.claimed_until is not None or state.unknown_since is not None:
        return "unknown"
    put_off = state.not_before is not None and state.not_before > state.now
    # After every refresh the next one is put off for some seconds; that is no trouble.
    return "backing_off" if put_off and (state.failures or state.refusals) else "none"


def short(grant_id: str) -> str:
    """Enough of a grant's id to find it in the log; the whole of it names a Xero user."""
    return grant_id[:_SHORT]
