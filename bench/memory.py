"""How much memory the services' processes take, what they share counted once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bench.tables import print_table
from deploy.services import NAMES
from deploy.stack import Stack

EVERY = 0.5
"""Seconds between two looks."""
Taken = dict[str, float]
"""Service → MiB."""


class Memory:
    """Of a running stack's services, as Linux tells it in ``smaps_rollup``."""

    def __init__(self, stack: Stack) -> None:
        self._pids = [(row.service, row.pid) for row in stack.processes() if row.service in NAMES]

    def now(self) -> Taken:
        """The proportional share of each, where the kernel tells it, else all that is resident."""
        return {service: _mib(pid) for service, pid in self._pids}

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Taken]:
        """What is given fills with the most that each took, and together as ``all``, until the block ends."""
        most: Taken = {}
        watching = asyncio.create_task(self._watch(most))
        try:
            yield most
        finally:
            watching.cancel()

    def print_table(self, **looks: Mapping[str, float]) -> None:
        """One column for each look, the services' sum below."""
        rows = [[service, *(f"{look[service]:.0f}" for look in looks.values())] for service, _ in self._pids]
        sums = (look.get("all", sum(look.values())) for look in looks.values())
        print_table(["memory in MiB", *looks], [*rows, ["all at the same time", *(f"{total:.0f}" for total in sums)]])

    async def _watch(self, most: Taken) -> None:
        while True:
            taken = await asyncio.to_thread(self.now)
            for service, mib in {**taken, "all": sum(taken.values())}.items():
                most[service] = max(mib, most.get(service, 0.0))
            await asyncio.sleep(EVERY)


def _mib(pid: int) -> float:
    folder = Path(f"/proc/{pid}")
    try:
        return _kib((folder / "smaps_rollup").read_text(), "Pss:") / 1024
    except OSError:
        return _kib((folder / "status").read_text(), "VmRSS:") / 1024


def _kib(text: str, name: str) -> int:
    """The number behind a name at the beginning of a line."""
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name))
