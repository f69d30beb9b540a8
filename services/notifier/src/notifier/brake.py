"""Whether a wave is unusual: pure arithmetic on what has left and what waits."""

from notifier.ports import Wave
from shared.policy import Brake

BRAKE = "brake"
"""The rule by which a wave of one organisation is held."""
CEILING = "ceiling"
"""The rule by which each is held while all organisations together have too much to say."""


def why_held(wave: Wave, brake: Brake, busiest_hour: int) -> str | None:
    """``busiest_hour``: the most that left in one hour of the last weeks."""
    if wave.held_lately or wave.sent + wave.waiting > limit(brake, busiest_hour):
        return BRAKE
    everywhere = wave.sent_everywhere + max(wave.waiting, wave.waiting_everywhere)
    return CEILING if everywhere > brake.per_installation_per_hour else None


def is_unusual(wave: Wave, brake: Brake, busiest_hour: int) -> bool:
    return why_held(wave, brake, busiest_hour) is not None


def limit(brake: Brake, busiest_hour: int) -> int:
    """How many may leave in an hour without a person: what is usual, never less than the floor, nor over the cap."""
    return min(brake.per_tenant_per_hour, max(brake.usual_floor, brake.usual_times * busiest_hour))
