"""Python loads this before a service does, where the harness puts it on the path: its time of day can be moved.

The product reads the time of day in one place, and that place is asked how far it is off.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path

from shared.runtime import clock

_FILE = Path(os.environ.get("CHAOS_CLOCK", os.devnull))
_right = clock.utc_now


def _moved() -> datetime:
    try:
        seconds = float(_FILE.read_text(encoding="ascii") or 0)
    except (OSError, ValueError):
        seconds = 0.0
    return _right() + timedelta(seconds=seconds)


if "CHAOS_CLOCK" in os.environ:
    clock.utc_now = _moved
