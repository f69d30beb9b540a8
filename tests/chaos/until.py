"""Waiting for what others do, always with a deadline."""

import asyncio
from typing import Any

from deploy.readiness import is_ready
from deploy.record import Row
from deploy.waiting import wait_until


class NotInTime(Exception):  # noqa: N818 - what happened
    """Something that a run needs did not happen."""


async def until(condition: Any, seconds: float, what: str) -> None:
    """Return when ``condition`` (plain or async) holds; raise :class:`NotInTime` when it does not in time."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return
        if asyncio.get_running_loop().time() > end:
            raise NotInTime(f"{what} did not come true within {seconds:.0f} s")
        await asyncio.sleep(0.1)


def all_ready(rows: list[Row], seconds: float) -> bool:
    """Whether each was ready once within that time; blocks its thread."""
    waiting = list(rows)

    def are_ready() -> bool:
        waiting[:] = [row for row in waiting if not is_ready(row)]
        return not waiting

    return wait_until(are_ready, seconds)
