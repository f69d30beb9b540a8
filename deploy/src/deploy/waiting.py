"""Waiting for another process to get somewhere, always with a deadline."""

import time
from collections.abc import Callable

POLL_SECONDS = 0.1


def wait_until(
    reached: Callable[[], bool],
    seconds: float,
    *,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Ask ``reached`` again and again, as another process tells us nothing by itself; False after ``seconds``."""
    deadline = now() + seconds
    while not reached():
        if now() >= deadline:
            return False
        pause(POLL_SECONDS)
    return True
