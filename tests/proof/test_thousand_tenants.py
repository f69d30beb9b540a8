"""A thousand tenants expire at once while the provider never answers one of them: nobody else waits for that one."""

import asyncio
from collections import Counter
from pathlib import Path
from time import monotonic

import pytest

from proof.figures import percentile, report
from proof.minted import mint
from proof.scene import Scene, Verdict, open_scene, token_of
from proof.stage import Stage
from shared.contracts.tokens import TokenRefusal, TokenRefused
from support.sizes import rounds

pytestmark = pytest.mark.proof

NEVER_SECONDS = 3600
DEADLINE_SECONDS = rounds(15, 4)
TIMING = {
    "deadline_seconds": DEADLINE_SECONDS,
    "margin_seconds": 0.5,
    "lock_seconds": DEADLINE_SECONDS + 2,
    "claim_seconds": DEADLINE_SECONDS + 2,
    "patience_seconds": rounds(8, 3),
}
"""Shorter than usual, so that the one that hangs is seen to be freed."""


@pytest.mark.timeout(300)
async def test_all_are_served_and_the_one_that_hangs_is_freed(stage: Stage, tmp_path: Path) -> None:
    count = rounds(1000, 100)
    async with open_scene(stage, tmp_path, "postgresql", "xero", connections_of_askers=4, timing=TIMING) as scene:
        hung, *others = await mint(scene, count)
        await scene.hold_next_refresh(NEVER_SECONDS)
        await scene.expire()
        async with scene.asking(hung, 1) as unlucky:
            await scene.struck()
            waits: list[float] = []
            tokens = await asyncio.gather(*(_timed(scene, tenant, waits) for tenant in others))
            assert len(set(tokens)) == len(others)
            p50, p99 = percentile(waits, 0.5), percentile(waits, 0.99)
            report("thousand_tenants", tenants=count, p50=p50, p99=p99, asked_again=scene.sent_away)
            [answer] = await unlucky
            assert isinstance(answer, TokenRefused)
            assert answer.reason is TokenRefusal.TRY_LATER
        await scene.served(hung, seconds=30)
        entries = await scene.sandbox.journal("xero.token")
        sent = Counter(entry["refresh_token"] for entry in entries if entry["grant"] == "refresh_token")
        assert (len(sent), set(sent.values())) == (count, {1})
        assert await scene.verdict() == Verdict(accepted=count, reuse=0, breaches=0)


async def _timed(scene: Scene, tenant: str, waits: list[float]) -> str:
    asked_at = monotonic()
    answer = await scene.persist(tenant)
    waits.append(monotonic() - asked_at)
    return token_of(answer)
