"""The time of day jumps, forward or back, for one service while the others keep theirs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

from chaos.faults.fault import Fault
from chaos.scene import Scene

_HOUR = 3600.0


@asynccontextmanager
async def jumped(scene: Scene, dice: Random, *, service: str, seconds: float) -> AsyncIterator[None]:
    """There and back again."""
    file = scene.clock(service)
    file.write_text(str(seconds), encoding="ascii")
    try:
        yield
    finally:
        file.write_text("0", encoding="ascii")


FAULTS = [
    Fault(
        f"clock-{service}-{word}",
        partial(jumped, service=service, seconds=seconds),
        12,
        moves_clock=True,
    )
    for service in ("token-broker", "fetcher", "scheduler", "notifier")
    for word, seconds in (("forward", _HOUR), ("back", -_HOUR))
]
