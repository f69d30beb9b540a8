"""The time of day jumps, forward or back, for one service while the others keep theirs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

from chaos.faults.fault import Fault
from chaos.scene import Scene
from deploy.services import NAMES

_HOUR = 3600.0


@asynccontextmanager
async def jumped(scene: Scene, dice: Random, *, service: str, seconds: float) -> AsyncIterator[None]:
    """There and back again, and work for the service in both times."""
    file = scene.clock(service)
    file.write_text(str(seconds), encoding="ascii")
    try:
        await _ask_for_work(scene, service)
        yield
    finally:
        file.write_text("0", encoding="ascii")
        await _ask_for_work(scene, service)


async def _ask_for_work(scene: Scene, service: str) -> None:
    """Who has a token does not ask for another: nothing would be renewed, and the wrong time leave no trace."""
    if service == "token-broker":
        await scene.sandbox.expire_tokens()


FAULTS = [
    Fault(
        f"clock-{service}-{word}",
        partial(jumped, service=service, seconds=seconds),
        12,
        moves_clock=True,
    )
    for service in NAMES
    for word, seconds in (("forward", _HOUR), ("back", -_HOUR))
]
