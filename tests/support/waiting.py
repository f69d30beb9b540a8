"""Waiting for a condition with a deadline, never for a length of time."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def eventually(condition: Callable[[], Any], *, seconds: float = 10, what: str = "the condition") -> Any:
    """The first truthy result of ``condition`` (plain or async); fails the test when there is none in time."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"{what} did not come true within {seconds} s; last seen: {value!r}")
        await asyncio.sleep(0.02)
