"""A provider that takes longer than the request, the lock and the claim may live, and acts in the end all the same."""

import asyncio
from pathlib import Path
from typing import get_args

import pytest

from proof.scene import SHORT, Mode, Scene, Verdict, open_scene
from proof.stage import Stage
from support.sizes import rounds
from token_broker.ports import ANSWER_LOST

pytestmark = pytest.mark.proof

FACTORS = (0.1, 1.1, 3.0)
"""The provider's time, in deadlines of a request (the claim lives for two). A busy machine needs most of the first."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", get_args(Mode))
async def test_a_slow_provider_is_never_asked_twice_with_what_it_would_revoke(
    stage: Stage, tmp_path: Path, mode: Mode
) -> None:
    async with asyncio.TaskGroup() as group:
        for factor in FACTORS:
            group.create_task(_be_slow_often(stage, tmp_path / str(factor), mode, factor), name=str(factor))


async def _be_slow_often(stage: Stage, folder: Path, mode: Mode, factor: float) -> None:
    seconds = factor * SHORT["deadline_seconds"]
    in_time = factor < 1
    async with open_scene(stage, folder, "postgresql", mode, timing=SHORT) as scene:
        tenant = await scene.connect()
        for number in range(rounds(10, 1)):
            before = await scene.verdict()
            await scene.hold_next_refresh(seconds)
            await scene.expire(tenant)
            async with scene.asking(tenant, 4):
                await scene.struck()
                if mode == "strict" and not in_time:
                    await _lose_and_reconnect(scene, tenant)
                await scene.served(tenant)
            # Until the first request has had its effect, however late.
            expected = _expected(mode, in_time)
            await scene.accepted(before.accepted + expected.accepted)
            seen = (await scene.verdict()).since(before)
            assert seen == expected, f"{mode}, {factor} deadlines, round {number + 1}: {seen}"


def _expected(mode: Mode, in_time: bool) -> Verdict:
    if in_time or mode == "strict":
        return Verdict(accepted=1, reuse=0, breaches=0)
    return Verdict(accepted=2, reuse=1, breaches=0)


async def _lose_and_reconnect(scene: Scene, tenant: str) -> None:
    lost = await scene.announced(tenant)
    assert lost.reason == ANSWER_LOST
    await scene.consent(tenant, lost.reconnect_url)
