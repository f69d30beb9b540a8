"""Callers give up at random moments of a refresh: it completes, its pair is stored, and nothing is sent twice."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from proof.scene import Scene, Verdict, open_scene
from proof.stage import Stage
from shared.clients.token_broker import fingerprint
from shared.contracts.tokens import TokenAccessRequest
from shared.runtime.service import Stop, running
from shared.settings.base import PREFIX
from support.sizes import rounds
from support.waiting import eventually
from token_broker.ahead import RefreshAhead
from token_broker.app import create_app
from token_broker.handout import HandOut
from token_broker.reconcile import Reconcile
from token_broker.refresh import Refresher
from token_broker.settings import TokenBrokerSettings
from token_broker.timing import Pacing, RefreshTiming
from token_broker.wiring import Adapters
from unit.token_broker.assembly import FakeFigures

pytestmark = pytest.mark.proof

LATENCY_SECONDS = 0.06
CALLERS = 8
SEED = 20260623


@pytest.mark.timeout(900)
async def test_a_refresh_outlives_the_callers_who_caused_it(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the callers leave a process of its own, over RabbitMQ; half leave one that lives in the test."""
    count, dice, abandoned = rounds(1000, 25), random.Random(SEED), 0
    async with open_scene(stage, tmp_path, "postgresql", "strict", replicas=1) as scene:
        tenant = await scene.connect()
        await scene.sandbox.fault("xero.token", "latency", seconds=LATENCY_SECONDS, times=None)
        async with hand_out_beside(scene, monkeypatch) as hand_out:
            for number in range(count):
                await scene.expire(tenant)
                request = TokenAccessRequest(tenant_id=tenant)
                asks = [scene.ask(tenant) if turn % 2 else hand_out(request) for turn in range(CALLERS)]
                await asyncio.gather(*(_leave(ask, dice.uniform(0, 1.5 * LATENCY_SECONDS)) for ask in asks))
                left = await scene.row(tenant)
                if left["claim"] is not None:
                    # Nobody is waiting any more, and the refresh is still under way.
                    abandoned += 1
                    await eventually(partial(_moved, scene, tenant, number + 2), what="the refresh of nobody")
                await scene.served(tenant)
                assert await scene.generation(tenant) == number + 2
        assert await scene.verdict() == Verdict(accepted=count, reuse=0, breaches=0)
    assert abandoned > count / 20


@asynccontextmanager
async def hand_out_beside(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HandOut]:
    """The use case with a whole service's real adapters, in this process, where a caller can truly be cancelled."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in scene.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DUEBELL_TOKEN_BROKER_PORT", "0")
    opened: list[Adapters] = []

    def remember(adapters: Adapters) -> Adapters:
        opened.append(adapters)
        return adapters

    async with running("token-broker", TokenBrokerSettings(), partial(create_app, around=remember), Stop()):
        [adapters] = opened
        pacing = Pacing(
            RefreshTiming(grace_seconds=0), asyncio.get_running_loop().time, asyncio.sleep, random.Random(SEED).random
        )
        # The service's own say who asked, and here nobody did over RabbitMQ.
        figures = FakeFigures()
        refresher = Refresher(
            adapters.grants, adapters.identity, adapters.lock, figures, _nothing, pacing=pacing, new_owner=_new_owner
        )
        reconcile = Reconcile(adapters.connections, adapters.identity, figures, _nothing, pacing)
        ahead = RefreshAhead(refresher, pacing)
        try:
            yield HandOut(adapters.grants, refresher, reconcile, ahead, figures, pacing=pacing, fingerprint=fingerprint)
        finally:
            await refresher.drain()


async def _nothing() -> None:
    """Announcing is the service's."""


def _new_owner() -> str:
    return uuid4().hex


async def _leave(ask: Coroutine[Any, Any, Any], after_seconds: float) -> None:
    task = asyncio.create_task(ask)
    await asyncio.wait({task}, timeout=after_seconds)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _moved(scene: Scene, tenant: str, generation: int) -> bool:
    return await scene.generation(tenant) == generation
