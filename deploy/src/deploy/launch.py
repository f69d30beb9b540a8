"""Becomes the program that a launch file describes: ``python launch.py FILE``.

A supervised process gets its whole environment from a file that only its owner can read, because a supervisor's
configuration cannot carry every text. Standard library only, so that it starts at once.
"""

import ctypes
import json
import os
import pwd
import resource
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """On Linux the process gets SIGTERM when its parent dies, so that nothing is left behind. A no-op elsewhere."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


def _raise_open_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def main() -> None:
    """Read the launch file and exec; returns never."""
    launch = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if launch.get("open_files"):
        _raise_open_files(launch["open_files"])
    os.chdir(launch["directory"])
    if launch.get("user"):
        _become(launch["user"])
    end_with_parent()
    argv = launch["argv"]
    os.execve(argv[0], argv, launch["environment"])  # noqa: S606 - no shell is wanted, and the file is our own


if __name__ == "__main__":
    main()
