"""The process that holds a claim is stopped for longer than the claim lives, and then goes on as if nothing was."""

import asyncio
from pathlib import Path
from signal import Signals
from typing import get_args

import pytest

from proof.scene import SHORT, Mode, Scene, Verdict, open_scene
from proof.stage import Stage
from support.dying import Point
from support.sizes import rounds
from token_broker.ports import ANSWER_LOST

pytestmark = pytest.mark.proof

POINTS: tuple[Point, ...] = ("claimed", "sent", "answered")
HELD_SECONDS = 0.4
"""Less than the request's deadline: the stopped process finds its answer waiting when it goes on."""

XERO = {
    "claimed": Verdict(accepted=1, reuse=0, breaches=0),
    "sent": Verdict(accepted=2, reuse=1, breaches=0),
    "answered": Verdict(accepted=2, reuse=1, breaches=0),
}
"""Per round: the other replica refreshes, within the grace once more where the first request had its effect; what was
claimed and not sent is never sent by the one that comes late."""

STRICT = {
    "claimed": Verdict(accepted=0, reuse=0, breaches=0),
    "sent": Verdict(accepted=1, reuse=0, breaches=0),
    "answered": Verdict(accepted=1, reuse=0, breaches=0),
}
"""Per round: nobody sends that refresh token again."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", get_args(Mode))
async def test_a_holder_that_slept_through_its_claim_changes_nothing(stage: Stage, tmp_path: Path, mode: Mode) -> None:
    async with asyncio.TaskGroup() as group:
        for point in POINTS:
            group.create_task(_stop_often(stage, tmp_path / point, mode, point), name=point)


async def _stop_often(stage: Stage, folder: Path, mode: Mode, point: Point) -> None:
    count = rounds(50, 1)
    expected = (XERO if mode == "xero" else STRICT)[point]
    async with open_scene(stage, folder, "postgresql", mode, timing=SHORT) as scene:
        tenant = await scene.connect()
        for number in range(count):
            before = await scene.verdict()
            await _stop_once(scene, tenant, mode, point)
            seen = (await scene.verdict()).since(before)
            assert seen == expected, f"{mode}, {point}, round {number + 1}: {seen}"
        await scene.finish()
        total = Verdict(expected.accepted * count, expected.reuse * count, 0)
        assert await scene.verdict() == total, f"{mode}, {point}"


async def _stop_once(scene: Scene, tenant: str, mode: Mode, point: Point) -> None:
    if point == "sent":
        await scene.hold_next_refresh(HELD_SECONDS)
    else:
        scene.points.arm(point, Signals.SIGSTOP)
    await scene.expire(tenant)
    async with scene.asking(tenant, 1):
        if point == "sent":
            await scene.struck()
            scene.points.arm(point, Signals.SIGSTOP)
        sleeper = await scene.one_stopped()
        if mode == "strict":
            async with scene.wanted(tenant):
                lost = await scene.announced(tenant)
            assert lost.reason == ANSWER_LOST
            await scene.consent(tenant, lost.reconnect_url)
        winner = await scene.served(tenant)
        generation = await scene.generation(tenant)
        sleeper.signal(Signals.SIGCONT)
    await sleeper.ready(scene.http)
    await scene.everyone_gives(tenant, winner)
    assert await scene.generation(tenant) == generation
