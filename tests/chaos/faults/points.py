"""A process dies at a named commit boundary, with whatever it has in hand there."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from random import Random
from signal import Signals

from chaos.faults.fault import Fault, Missed
from chaos.points import POINTS
from chaos.scene import Scene
from chaos.traps import Point, arm, disarm, struck
from chaos.until import NotInTime, until
from support.town import today

_REACHED_SECONDS = 180.0
"""Where the token-broker died with its claim, nothing moves until that has lapsed."""
_AGAIN_SECONDS = 8.0
_DUE_AT_ONCE = 2
_ANSWER_LOST = frozenset({"posted", "answering", "answered", "written"})
"""Points of the token-broker between Xero's commit and ours."""


@asynccontextmanager
async def died(scene: Scene, dice: Random, *, point: Point) -> AsyncIterator[None]:
    """The next time that the running process comes to ``point`` is its last; the supervisor starts another."""
    folder = scene.traps(point.service)
    if point.service == "scheduler":
        await _make_a_scan_due(scene)
    arm(folder, point)
    if point.service == "scheduler":
        # One without memory looks for what is due at once.
        await scene.kill(point.service, Signals.SIGTERM)
    place = struck(folder, point)
    provoking = asyncio.create_task(_provoke(scene, point))
    try:
        await until(place.exists, _REACHED_SECONDS, point.title)
    except NotInTime:
        raise Missed(f"nothing came to {point.title}") from None
    finally:
        provoking.cancel()
        disarm(folder, point)
    found = json.loads(place.read_text(encoding="utf-8"))
    scene.history.add("strike", at=found["at"], point=point.title, ids=found["ids"])
    await scene.another(point.service, found["pid"])
    yield


async def _provoke(scene: Scene, point: Point) -> None:
    """The load itself brings everything but renewals of tokens."""
    while point.service == "token-broker":
        await scene.sandbox.expire_tokens()
        await asyncio.sleep(_AGAIN_SECONDS)


async def connect_the_punctual(scene: Scene) -> None:
    """Once, and while nothing is broken where the token-broker may be down whenever a scan is wanted."""
    if scene.punctual:
        return
    scene.punctual = await scene.organisation("The punctual one", "The punctual one's")
    policy = scene.stack.folder / "policy.yaml"
    own = f'tenants:\n  {scene.punctual}: {{scan_at: "00:00"}}\n'
    policy.write_text(policy.read_text(encoding="utf-8") + own, encoding="utf-8")


async def _make_a_scan_due(scene: Scene) -> None:
    """The daily one of an organisation of its own, of invoices that nobody was reminded of.

    Redis forgets that the day's scan was asked for and served; what a scheduler remembers ends with it.
    """
    await connect_the_punctual(scene)
    rows = await scene.sandbox.bulk(
        scene.punctual, _DUE_AT_ONCE, issue_date=today(), due_date=today() - timedelta(days=4)
    )
    for row in rows:
        scene.history.add("invoice", invoice=row["invoice_id"], number=row["invoice_number"], tenant=scene.punctual)
    async with scene.redis() as client:
        for place in ("scheduler:moment", "fetcher:served-scan"):
            if keys := await client.keys(f"duebell:{place}:{scene.punctual}:receivables:*"):
                await client.delete(*keys)
    now = scene.history.now()
    invoices = [row["invoice_id"] for row in rows]
    scene.history.add("scan", tenant=scene.punctual, invoices=invoices, asked_at=now, accepted=True)


FAULTS = [
    Fault(
        f"at-{point.title}",
        partial(died, point=point),
        kills=1,
        loses_answers=point.service == "token-broker" and point.name in _ANSWER_LOST,
        shuts_door=point.service == "ingress",
        lane=point.service,
        at_point=True,
        service=point.service,
    )
    for point in POINTS
]
