"""Whether an organisation's wave is unusual: pure arithmetic on what has left and what waits."""

from notifier.ports import Wave
from shared.policy import Brake


def is_unusual(wave: Wave, brake: Brake, busiest_hour: int) -> bool:
    """``busiest_hour``: the most that left in one hour of the last weeks."""
    if wave.held_lately:
        return True
    here = wave.sent + wave.waiting
    return here > limit(brake, busiest_hour) or wave.sent_everywhere + wave.waiting > brake.per_installation_per_hour


def limit(brake: Brake, busiest_hour: int) -> int:
    """How many may leave in an hour without a person: what is usual, never less than the floor, nor over the cap."""
    return min(brake.per_tenant_per_hour, max(brake.usual_floor, brake.usual_times * busiest_hour))
