"""Python loads this before a service does, where the harness puts it on the path: its clock moves, its traps are set.

The product reads the time of day in one place, and that place is asked how far it is off. Of the traps, a service whose
functions have other names by now does not start.
"""

import os
import sys
import traceback
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


def _set_traps(service: str, folder: Path) -> None:
    try:
        from chaos.points import points_of
        from chaos.traps import install
        from chaos.wrappers import wrapper

        install(points_of(service), folder, wrapper)
    except BaseException:
        # Python itself would only mention it and go on.
        traceback.print_exc()
        os._exit(3)


if "CHAOS_CLOCK" in os.environ:
    clock.utc_now = _moved

_service = os.environ.get("CHAOS_SERVICE", "")
# An operator's command gets the service's environment as well, and is not meant.
if _service and sys.orig_argv[-2:] == ["-m", _service.replace("-", "_")]:
    _set_traps(_service, Path(os.environ["CHAOS_TRAPS"]))
