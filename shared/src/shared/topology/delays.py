"""The delay ladder: one queue per delay, whose messages go home by their routing key when they expire."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """Exchange and queue have the same name; a message's routing key is the queue it returns to."""

    seconds: int

    @property
    def name(self) -> str:
        return f"duebell.delay.{self.seconds}s"


LADDER = tuple(Rung(seconds) for seconds in (1, 5, 15, 60, 300, 1800, 7200))
MAX_ATTEMPTS = 8
LATEST_SECONDS = 300


def rung_for_attempt(attempt: int) -> Rung:
    """The pause after the ``attempt``-th failed try, counted from 1."""
    return LADDER[min(max(attempt, 1), len(LADDER)) - 1]


def rung_towards(seconds: float) -> Rung:
    """For a wait that is no failure: it ends at most ``LATEST_SECONDS`` late, in as many steps as that takes."""
    rung = rung_for_delay(seconds)
    if rung.seconds - seconds <= LATEST_SECONDS:
        return rung
    return max((earlier for earlier in LADDER if earlier.seconds <= seconds), key=lambda earlier: earlier.seconds)


def rung_for_delay(seconds: float) -> Rung:
    """The shortest rung that is no earlier than ``seconds``, or the longest there is."""
    return next((rung for rung in LADDER if rung.seconds >= seconds), LADDER[-1])
