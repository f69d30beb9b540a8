"""A process dies at each point of a refresh: the grant recovers by itself or its loss is said, and nothing else."""

import asyncio
from pathlib import Path
from signal import Signals
from typing import Literal, get_args

import pytest

from proof.scene import SHORT, Mode, Scene, Verdict, open_scene
from proof.stage import Stage
from support.dying import Point
from support.infra import DatabaseKind
from support.sizes import rounds
from token_broker.ports import ANSWER_LOST

pytestmark = pytest.mark.proof

End = Literal["recovered", "announced"]

ENDS: dict[Mode, dict[Point, tuple[End, Verdict]]] = {
    "xero": {
        "before_claim": ("recovered", Verdict(1, 0, 0)),
        "claimed": ("recovered", Verdict(1, 0, 0)),
        "sent": ("recovered", Verdict(2, 1, 0)),
        "answered": ("recovered", Verdict(2, 1, 0)),
        "stored": ("recovered", Verdict(1, 0, 0)),
    },
    "strict": {
        "before_claim": ("recovered", Verdict(1, 0, 0)),
        "claimed": ("announced", Verdict(0, 0, 0)),
        "sent": ("announced", Verdict(1, 0, 0)),
        "answered": ("announced", Verdict(1, 0, 0)),
        "stored": ("recovered", Verdict(1, 0, 0)),
    },
}
"""How a death at the point ends, and what the sandbox counts: a strict provider never sees a refresh token twice."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", get_args(Mode))
async def test_a_death_at_any_point_is_recovered_from_or_announced(stage: Stage, tmp_path: Path, mode: Mode) -> None:
    kind: DatabaseKind = "sqlite" if mode == "strict" else "postgresql"
    async with asyncio.TaskGroup() as group:
        for point in ENDS[mode]:
            group.create_task(_kill_often(stage, tmp_path / point, kind, mode, point), name=point)


async def _kill_often(stage: Stage, folder: Path, kind: DatabaseKind, mode: Mode, point: Point) -> None:
    async with open_scene(stage, folder, kind, mode, timing=SHORT) as scene:
        tenant = await scene.connect()
        for number in range(rounds(20, 1)):
            before = await scene.verdict()
            end = await _kill_once(scene, tenant, point)
            seen = (end, (await scene.verdict()).since(before))
            assert seen == ENDS[mode][point], f"{mode}, {point}, round {number + 1}: {seen}"


async def _kill_once(scene: Scene, tenant: str, point: Point) -> End:
    if point == "sent":
        await scene.lose_next_answer(30)
    else:
        scene.points.arm(point, Signals.SIGKILL)
    await scene.expire(tenant)
    async with scene.asking(tenant, 1):
        if point == "sent":
            await scene.struck()
            scene.points.arm(point, Signals.SIGKILL)
        await scene.one_dead()
    await scene.restart_the_dead()
    return await _end(scene, tenant)


async def _end(scene: Scene, tenant: str) -> End:
    """Whichever comes first; after a loss the organisation is connected again by the link that was announced."""
    served = asyncio.create_task(scene.served(tenant))
    announced = asyncio.create_task(scene.announced(tenant))
    try:
        await asyncio.wait({served, announced}, return_when=asyncio.FIRST_COMPLETED)
        if served.done():
            served.result()
            return "recovered"
        lost = announced.result()
        assert lost.reason == ANSWER_LOST
        await scene.consent(tenant, lost.reconnect_url)
        await served
        return "announced"
    finally:
        for task in (served, announced):
            task.cancel()
        await asyncio.gather(served, announced, return_exceptions=True)
