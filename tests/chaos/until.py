"""Waiting for what others do, always with a deadline."""

import asyncio
from typing import Any


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
