"""A disk of its own, small enough to be filled: a file system in a file, where this machine lets us mount one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = "64M"


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount one at ``folder`` and tell whether that could be done; needs root and a loop device."""
    image = folder.with_suffix(".img")
    mounted = os.geteuid() == 0 and _done("truncate", "-s", SIZE, str(image)) and _done("mkfs.ext4", "-q", str(image))
    if mounted:
        folder.mkdir(parents=True, exist_ok=True)
        mounted = _done("mount", "-o", "loop", str(image), str(folder))
    try:
        yield mounted
    finally:
        if mounted:
            _done("umount", "--lazy", str(folder))


def fill(folder: Path) -> Path:
    """The file that takes up all that was free in ``folder``; removing it gives everything back."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1 << 9):
            _write_until_full(file.fileno(), bytes(size))
    return ballast


def _write_until_full(descriptor: int, piece: bytes) -> None:
    try:
        while os.write(descriptor, piece):
            pass
    except OSError:
        return


def _done(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
