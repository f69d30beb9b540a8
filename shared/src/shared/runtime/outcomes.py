"""What becomes of a message whose handler failed: decided here, in one pure function."""

from dataclasses import dataclass

from shared.errors import OutageError, PermanentError, PersonNeededError, RetryableError
from shared.topology.delays import MAX_ATTEMPTS, Rung, rung_for_attempt, rung_for_delay, rung_towards

_SOON_SECONDS = 60.0
_SOON_FOR_SECONDS = 600.0
_LATER_SECONDS = 300.0
OUTAGE_SECONDS = 86_400.0
"""For so long nothing is buried because a remote is out of order."""
_LONGEST_PAUSE_OF_OUTAGE = 1800.0


@dataclass(frozen=True)
class Delay:
    """Again after the rung's pause, as attempt number ``attempt``.

    ``in_outage``: the remote is out of order, or was, and its message has waited for nothing else since.
    """

    rung: Rung
    attempt: int
    reason: str
    in_outage: bool = False


@dataclass(frozen=True)
class Bury:
    """To the dead letters."""

    reason: str


@dataclass(frozen=True)
class Drop:
    """Nobody waits for it any more: a question whose asker has a deadline."""

    reason: str


Outcome = Delay | Bury | Drop


def outcome_of(
    error: BaseException,
    attempts: int,
    *,
    waited_seconds: float = 0.0,
    outage_seconds: float | None = None,
    unreadable: bool = False,
    away: bool = False,
) -> Outcome:
    """``attempts`` failed before this one, the first of them ``waited_seconds`` ago.

    ``outage_seconds`` is how long ago the first of them met an outage, None where none did. ``unreadable`` says that
    the body is not what the queue carries, ``away`` that the service's own database was not there to be asked.
    """
    if unreadable:
        return Bury("unreadable_body")
    if isinstance(error, PermanentError):
        return Bury(error.reason)
    if isinstance(error, PersonNeededError):
        # Counted anew: in a hold of weeks, the unrelated faults of some of its tries would add up.
        pause = _SOON_SECONDS if waited_seconds < _SOON_FOR_SECONDS else _LATER_SECONDS
        return Delay(rung_for_delay(pause), 0, error.reason)
    if away:
        error = OutageError("database_unavailable")
    reason = error.reason if isinstance(error, RetryableError) else f"unexpected_{type(error).__name__}"
    retry_after = error.retry_after if isinstance(error, RetryableError) else None
    counts = not isinstance(error, RetryableError) or error.counts
    in_outage = isinstance(error, OutageError) or outage_seconds is not None
    if isinstance(error, OutageError) and (outage_seconds or 0.0) < OUTAGE_SECONDS:
        # In proportion to what was waited already, so that the end of a short outage is noticed soon.
        pause = min(max((outage_seconds or 0.0) / 4, 1.0), _LONGEST_PAUSE_OF_OUTAGE)
        retry_after = max(rung_for_delay(pause).seconds, retry_after or 0.0)
    elif counts:
        attempt = attempts + 1
        if attempt >= MAX_ATTEMPTS:
            return Bury(reason)
        rung = rung_for_attempt(attempt) if retry_after is None else rung_for_delay(retry_after)
        return Delay(rung, attempt, reason, in_outage)
    rung = rung_for_attempt(attempts + 1) if retry_after is None else rung_towards(retry_after)
    return Delay(rung, attempts, reason, in_outage)
