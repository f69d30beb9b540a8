"""The providers misbehave: tokens expire all the time, one organisation always fails, answers are ambiguous."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from chaos.faults.fault import Fault
from chaos.scene import Scene

_EXPIRIES = 10


@asynccontextmanager
async def expiries(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """Every access token expires, again and again, under a provider that revokes a grant at the first reuse."""
    for _ in range(_EXPIRIES):
        await scene.sandbox.expire_tokens()
        await asyncio.sleep(dice.uniform(1.0, 3.0))
    yield


@asynccontextmanager
async def one_tenant_fails(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """A handler that fails whatever it does, for one organisation; the others are not to notice."""
    tenant = dice.choice(scene.tenants)
    await scene.sandbox.fault("xero.api", "status500", times=None, tenant=tenant)
    try:
        yield
    finally:
        await scene.sandbox.faults()


@asynccontextmanager
async def ambiguous(scene: Scene, dice: Random) -> AsyncIterator[None]:
    """WhatsApp takes messages and loses its answers, or fails before or after taking them."""
    for effect in ("lose_answer_after_effect", "cut", "status500", "reset", "html", "status429"):
        seed = dice.randrange(1_000_000)
        await scene.sandbox.fault("whatsapp.message", effect, times=None, probability=0.15, seed=seed)
    try:
        yield
    finally:
        await scene.sandbox.faults()


FAULTS = [
    Fault("token-expiries", expiries, lane="doubles", short=True),
    Fault("tenant-fails", one_tenant_fails, 15),
    Fault("whatsapp-ambiguous", ambiguous, 12, lane="doubles", short=True),
]
