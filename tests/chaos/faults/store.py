"""Redis dies, is emptied, fills up, or stands still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from signal import Signals
from typing import Any

from chaos.faults.fault import Fault, Missed
from chaos.scene import READY_SECONDS, Scene
from chaos.until import until

_PAUSE = 15.0
_LATE = 2500.0
"""Redis puts writing off for two seconds while its disk is busy; in milliseconds."""
_KEPT = 30_000.0
"""So long no call is forgotten because of its age."""


@asynccontextmanager
async def killed(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """A machine that dies may forget the last seconds; a killed process remembers what its scripts wrote."""
    before = await _counted_calls(scene)
    if not before:
        raise Missed("Redis counted no call")
    await scene.kill("redis", Signals.SIGKILL)
    await until(partial(asyncio.to_thread, scene.answers, "redis"), READY_SECONDS, "Redis")
    after = await _counted_calls(scene)
    youngest = max(before.values())
    steady = [call for call, at in before.items() if _LATE <= youngest - at <= _KEPT]
    scene.history.add("remembered", calls=len(steady), forgotten=sum(call not in after for call in steady))
    yield


async def _counted_calls(scene: Scene) -> dict[str, float]:
    """Of all organisations: each call that the limiter counts, and when it ended, in milliseconds."""
    calls: dict[str, float] = {}
    async with scene.redis() as client:
        for tenant in scene.tenants:
            rows: Any = await client.zrange(f"duebell:fetcher:calls:{{{tenant}}}:window", 0, -1, withscores=True)
            calls |= dict(rows)
    return calls


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
    Fault("redis-flush", emptied, silences=True),
    Fault("redis-full", full, 15),
    Fault("redis-stopped", stopped, 15),
    Fault("redis-paused", paused, _PAUSE),
]
