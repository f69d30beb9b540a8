"""The times around a refresh, and the rules between them that keep a refresh token from being used twice."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from shared.errors import ConfigurationError

_LOOK_SECONDS = 60.0
"""Longer than any look at a grant takes."""


@dataclass(frozen=True)
class RefreshTiming:
    """All in seconds.

    A claim must outlive the request that it covers: were it to lapse while the request is still under way, another
    replica would send the same refresh token. ``margin_seconds`` covers pauses of the process between looking and
    sending. ``grace_seconds`` is how long the provider takes a used refresh token again when its answer was lost: Xero
    thirty minutes, a provider that revokes on reuse never (0).

    Raises:
        ConfigurationError: the claim or the lock could lapse during a request.
    """

    deadline_seconds: float = 20.0
    margin_seconds: float = 5.0
    lock_seconds: float = 30.0
    claim_seconds: float = 50.0
    patience_seconds: float = 8.0
    poll_seconds: float = 0.1
    confirm_seconds: float = 5.0
    first_backoff_seconds: float = 30.0
    longest_backoff_seconds: float = 300.0
    longest_asked_seconds: float = 1800.0
    fresh_seconds: float = 120.0
    rest_seconds: float = 5.0
    persist_seconds: float = 600.0
    grace_seconds: float = 1800.0
    look_seconds: float = 86_400.0

    def __post_init__(self) -> None:
        needed = self.deadline_seconds + self.margin_seconds
        for name, life in (("claim", self.claim_seconds), ("lock", self.lock_seconds)):
            if life <= needed:
                raise ConfigurationError(
                    f"the refresh {name} lives {life:g} s; it must outlive a request of at most {needed:g} s"
                )

    def may_send(self, claim_age_seconds: float) -> bool:
        """Whether a request sent now ends before the claim can lapse."""
        return claim_age_seconds + self.deadline_seconds + self.margin_seconds < self.claim_seconds

    @property
    def may_repeat(self) -> bool:
        """Whether a token that may have been used is sent again.

        Also after the grace: its successor was never ours, so nothing is left that a provider could take away, and
        after an outage of the gateway it is most likely unused.
        """
        return self.grace_seconds > 0

    def freshness(self, lifetime_seconds: float) -> float:
        """How much life a token must have left to be given: two minutes of thirty, in proportion for shorter ones."""
        return min(self.fresh_seconds, lifetime_seconds / 15)

    def ahead(self, lifetime_seconds: float, chance: float) -> float:
        """How much life a token in use has left when it is replaced: five to ten minutes of thirty, by chance."""
        return lifetime_seconds * (1 + chance) / 6

    def warm(self, lifetime_seconds: float) -> float:
        """For how long after it was last asked for a grant counts as in use: an hourly question keeps it so."""
        return lifetime_seconds * 2.5

    def next_look(self, chance: float) -> float:
        """When a grant is looked at again: after most of a day, spread by chance."""
        return self.look_seconds * (3 + chance) / 4

    def rest(self, lifetime_seconds: float) -> float:
        """How long a grant is left alone after a refresh, even when its new token is said to be refused."""
        return min(self.rest_seconds, self.freshness(lifetime_seconds))

    def backoff(self, failures: int, asked_seconds: float | None, chance: float) -> float:
        """The wait after ``failures`` failures in a row; no shorter than Xero asked within reason, a quarter longer."""
        wait = min(self.first_backoff_seconds * 2.0 ** min(failures, 16), self.longest_backoff_seconds)
        return max(wait, min(asked_seconds or 0.0, self.longest_asked_seconds)) * (1 + chance / 4)

    def longest_hold(self, failures: int) -> float:
        """How far ahead an attempt can have been put off after so many failures in a row."""
        if failures:
            return max(self.longest_backoff_seconds, self.longest_asked_seconds) * 1.25
        return max(self.rest_seconds, self.confirm_seconds)

    def holds(self, not_before: datetime | None, now: datetime, failures: int) -> bool:
        """Whether a stored moment keeps anybody waiting.

        One further away than any hold can be was written while the clock was ahead, and is no reason to wait.
        """
        return not_before is not None and 0 < (not_before - now).total_seconds() <= self.longest_hold(failures)

    def claims(self, claimed_until: datetime | None, now: datetime) -> bool:
        """Whether a stored claim stands; one that goes further than any claim can is to be shortened first."""
        return claimed_until is not None and 0 < (claimed_until - now).total_seconds() <= self.claim_seconds

    def ahead_of(self, now: datetime, refreshed_at: datetime) -> bool:
        """Whether a token was stored by a clock that was ahead, so that nobody knows when it ends.

        ``now`` may be a little old: a look that waits for the row sees what was stored meanwhile.
        """
        return (refreshed_at - now).total_seconds() > _LOOK_SECONDS


@dataclass(frozen=True)
class Pacing:
    """The times, and how they are measured, waited for and spread."""

    timing: RefreshTiming
    monotonic: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]
