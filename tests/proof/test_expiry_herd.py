"""Many callers of many processes meet an expired token: one refresh, one token, nobody turned away."""

import asyncio
from pathlib import Path
from time import monotonic

import pytest

from proof.figures import percentile, report
from proof.scene import Answer, Scene, Verdict, open_scene, token_of
from proof.stage import Stage
from support.infra import DatabaseKind
from support.sizes import rounds

pytestmark = pytest.mark.proof

REPLICAS = 4
CALLERS = 50
LATENCY_SECONDS = 0.2
WISHED_SECONDS = LATENCY_SECONDS + 0.3
LONGEST_SECONDS = 8.0
"""What a test may insist on while other work slows the machine; speed itself is measured in the benchmarks."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_one_expiry_is_one_refresh_for_two_hundred_callers_of_four_processes(
    stage: Stage, tmp_path: Path, kind: DatabaseKind
) -> None:
    expiries = rounds(100, 5)
    async with open_scene(stage, tmp_path, kind, "strict", replicas=REPLICAS, connections_of_askers=REPLICAS) as scene:
        tenant = await scene.connect()
        await scene.sandbox.fault("xero.token", "latency", seconds=LATENCY_SECONDS, times=None)
        waits: list[float] = []
        tokens = []
        for _ in range(expiries):
            await scene.expire(tenant)
            answers = await asyncio.gather(*(_timed(scene, tenant, waits) for _ in range(REPLICAS * CALLERS)))
            [token] = {token_of(answer) for answer in answers}
            tokens.append(token)
        assert await scene.verdict() == Verdict(accepted=expiries, reuse=0, breaches=0)
        assert len(set(tokens)) == expiries
        assert await scene.generation(tenant) == 1 + expiries
    p50, p99 = percentile(waits, 0.5), percentile(waits, 0.99)
    seconds = {"p50": p50, "p99": p99, "wished": WISHED_SECONDS, "reached": p99 <= WISHED_SECONDS}
    report(f"expiry_herd_{kind}", expiries=expiries, callers=REPLICAS * CALLERS, **seconds)
    assert max(waits) < LONGEST_SECONDS


async def _timed(scene: Scene, tenant: str, waits: list[float]) -> Answer:
    asked_at = monotonic()
    answer = await scene.ask(tenant)
    waits.append(monotonic() - asked_at)
    return answer
