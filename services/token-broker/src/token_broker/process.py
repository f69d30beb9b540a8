"""Keeps the process's memory, where tokens are plain, from being written to disk when it crashes."""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def forbid_dumps() -> None:
    """No core file, and on Linux no reading of this process's memory and environment by others of the same user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform.startswith("linux"):
        # A crash handler that the kernel pipes dumps to is not bound by the limit.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
