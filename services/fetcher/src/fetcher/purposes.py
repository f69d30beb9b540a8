"""What a call to Xero is for: who goes on when a tenant's day runs short, and who yields."""

from enum import StrEnum

DAY_CALLS_OF_STARTER = 1000
"""Xero's limit on its smallest tier; every other tier allows more."""


class Purpose(StrEnum):
    """From the first to yield to the last."""

    SWEEP = "sweep"
    """A scan or a reconcile: the next one finds what this one did not."""
    EVENT = "event"
    """A webhook said that something changed."""
    LOOK = "look"
    """A message is about to leave, and must not be wrong."""


DAY_SPENT = frozenset({"day_limit", "day_reserve", "tenant_parked"})
"""The limiter's refusals for want of the day's calls. Nobody stays for these, however short the rest is."""

_KEPT_PERCENT = {Purpose.SWEEP: 10, Purpose.EVENT: 4, Purpose.LOOK: 0}
_THINNING = ((50, 0.0), (25, 1.5 * 3600), (_KEPT_PERCENT[Purpose.SWEEP], 3.5 * 3600))


def kept_from(purpose: Purpose, per_day: int) -> int:
    """How many of the day's calls are kept for what matters more."""
    return per_day * _KEPT_PERCENT[purpose] // 100


def pause_between_sweeps(left: int, per_day: int) -> float | None:
    """How far apart a tenant's reconciles must be, in seconds, with so much of the day left; None for none at all.

    They are asked for once an hour: below half of the day every second one is let through, below a quarter every
    fourth.
    """
    share = 100 * left / per_day
    return next((pause for above, pause in _THINNING if share > above), None)


def tier(left: int | None, per_day: int) -> str:
    """``starter`` or ``core``: by what Xero leaves of the day where it says so, else by our own setting."""
    return "starter" if max(left or 0, per_day) <= DAY_CALLS_OF_STARTER else "core"
