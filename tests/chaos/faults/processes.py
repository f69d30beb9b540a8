"""Processes that die at any moment, or are asked to stop one after the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from signal import Signals

from chaos.faults.fault import Fault, Missed
from chaos.scene import Scene
from deploy.services import NAMES

_MOMENTS = 2.0


@asynccontextmanager
async def killed(scene: Scene, dice: Random, *, service: str) -> AsyncIterator[None]:
    """SIGKILL at a moment that the seed decides; the supervisor starts another."""
    if service == "token-broker":
        # Among renewals, else it would die idle.
        await scene.sandbox.expire_tokens()
    await asyncio.sleep(dice.uniform(0, _MOMENTS))
    await scene.kill(service, Signals.SIGKILL)
    yield


@asynccontextmanager
async def rolling(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """SIGTERM to every service in turn, each ready before the next one goes."""
    for service in dice.sample(NAMES, len(NAMES)):
        await scene.kill(service, Signals.SIGTERM)
        if not await scene.ready():
            raise Missed(f"{service} did not come back")
    yield


@asynccontextmanager
async def held_still(scene: Scene, dice: Random, *, service: str) -> AsyncIterator[None]:
    """SIGSTOP for a while: for everybody else it is there and does not answer."""
    scene.stack.kill(service, Signals.SIGSTOP)
    try:
        yield
    finally:
        scene.stack.kill(service, Signals.SIGCONT)


FAULTS = [
    *(
        Fault(
            f"kill-{service}",
            partial(killed, service=service),
            kills=1,
            loses_answers=service == "token-broker",
            shuts_door=service == "ingress",
            short=True,
        )
        for service in NAMES
    ),
    Fault("rolling-restart", rolling, shuts_door=True, short=True),
    *(
        Fault(
            f"stop-{service}",
            partial(held_still, service=service),
            15,
            loses_answers=service == "token-broker",
            shuts_door=service == "ingress",
        )
        for service in NAMES
    ),
]
