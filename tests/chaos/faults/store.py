"""Redis dies, is emptied, fills up, or stands still."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from signal import Signals

from chaos.faults.fault import Fault, Missed
from chaos.scene import Scene

_PAUSE = 15.0


@asynccontextmanager
async def killed(scene: Scene, dice: Random) -> AsyncIterator[None]:
    await scene.kill("redis", Signals.SIGKILL)
    yield


@asynccontextmanager
async def emptied(scene: Scene, dice: Random) -> AsyncIterator[None]:
    async with scene.redis() as client:
        if not await client.dbsize():
            raise Missed("Redis was empty already")
        await client.flushall()
    yield


@asynccontextmanager
async def full(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """Every command that needs memory is refused; nothing is evicted."""
    async with scene.redis() as client:
        await client.config_set("maxmemory", "1mb")
    try:
        yield
    finally:
        async with scene.redis() as client:
            await client.config_set("maxmemory", "0")


@asynccontextmanager
async def stopped(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """SIGSTOP: connections are taken by the kernel, and nothing is ever answered."""
    scene.stack.kill("redis", Signals.SIGSTOP)
    try:
        yield
    finally:
        scene.stack.kill("redis", Signals.SIGCONT)


@asynccontextmanager
async def paused(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """CLIENT PAUSE ends by itself: who is paused cannot be told to go on either."""
    async with scene.redis() as client:
        await client.client_pause(int(_PAUSE * 1000), all=True)
    yield


FAULTS = [
    Fault("redis-kill", killed, kills=1, short=True),
    Fault("redis-flush", emptied, silences=True, short=True),
    Fault("redis-full", full, 15),
    Fault("redis-stopped", stopped, 15),
    Fault("redis-paused", paused, _PAUSE),
]
