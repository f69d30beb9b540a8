"""Hostile input at ingress, while honest senders go on."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from chaos.attacks.senders import meta, xero
from chaos.faults.fault import Fault, Missed
from chaos.honest import Honest
from chaos.scene import Scene

_TESTS = Path(__file__).parents[2]
_SAMPLED = 0.25
_ATTACK_SECONDS = 400.0
_FILES_SECONDS = 45.0
"""A connection that is kept may be idle for half a minute."""
_FILES_TO_SPARE = 8
_WARM_SECONDS = 1.0


@dataclass(frozen=True)
class Size:
    """How much, and for how many seconds where time is what is attacked."""

    count: int
    seconds: float = 10.0


@asynccontextmanager
async def attacked(scene: Scene, dice: Random, *, attack: str, full: Size, few: Size) -> AsyncIterator[None]:
    """One attack from beginning to end; nothing is left of it but what the door made of it."""
    size = full if scene.full else few
    history = scene.history
    name = f"hostile-{attack}"
    about: dict[str, Any] = {"attack": f"{name} {history.now():.3f}"}
    history.add("attack", name=name, full=scene.full, **about)
    port = urlsplit(scene.stack.url("ingress")).port or 0
    look = partial(_look, scene, about)
    before = await look("before")
    honest = Honest(port, xero(scene.webhook_key), meta(scene.app_secret), Random(dice.random()))
    answered = 0

    def told(row: dict[str, Any]) -> None:
        nonlocal answered
        answered += row["status"] is not None
        history.add("honest", **row, **about)

    began = history.now()
    with _keeping(honest.go_on(told)), _keeping(_follow(look)):
        await asyncio.sleep(_WARM_SECONDS)
        order = {
            "attack": attack,
            "port": port,
            "key": scene.webhook_key,
            "app_secret": scene.app_secret,
            "seed": str(dice.random()),
            "count": size.count,
            "seconds": size.seconds,
        }
        tallies = await _played(order)
        for way, row in tallies.items():
            history.add("hostile", way=way, **row, **about)
    await _given_back(look, before["files"])
    if not tallies:
        raise Missed("nothing was sent")
    if answered < history.now() - began:
        raise Missed(f"{answered} honest posts were answered in {history.now() - began:.0f} s")
    yield


async def _played(order: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """In a process of its own; what came of it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "chaos.attacks",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(_TESTS)},
    )
    try:
        async with asyncio.timeout(_ATTACK_SECONDS):
            said, complaint = await process.communicate(json.dumps(order).encode())
    except TimeoutError:
        raise Missed(f"the attack took longer than {_ATTACK_SECONDS:.0f} s") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    if process.returncode != 0:
        raise Missed(f"the attack broke off: {complaint.decode()[-300:]}")
    tallies: dict[str, dict[str, Any]] = json.loads(said)
    return tallies


async def _look(scene: Scene, about: dict[str, Any], phase: str) -> dict[str, Any]:
    """One sample of ingress; pid 0 when there is none."""
    pid = await asyncio.to_thread(scene.pid, "ingress")
    rss, files = _process(pid)
    return dict(scene.history.add("door", phase=phase, pid=pid, rss=rss, files=files, **about))


def _process(pid: int) -> tuple[int, int]:
    """Bytes of memory and open files."""
    folder = Path("/proc") / str(pid)
    try:
        pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(list((folder / "fd").iterdir()))
    except OSError:
        return 0, 0


async def _follow(look: Any) -> None:
    while True:
        await look("during")
        await asyncio.sleep(_SAMPLED)


async def _given_back(look: Any, files: int) -> None:
    """Return when the door has as few open files as before, or after as long as it may take."""
    end = asyncio.get_running_loop().time() + _FILES_SECONDS
    while (await look("after"))["files"] > files + _FILES_TO_SPARE:
        if asyncio.get_running_loop().time() > end:
            return
        await asyncio.sleep(1)


@contextmanager
def _keeping(work: Any) -> Iterator[None]:
    """Something that goes on meanwhile."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()


FAULTS = [
    Fault("hostile-forged", partial(attacked, attack="forged", full=Size(10_000), few=Size(350)), short=True),
    Fault("hostile-huge", partial(attacked, attack="huge", full=Size(100), few=Size(4))),
    Fault("hostile-slow", partial(attacked, attack="slow", full=Size(1200, 25), few=Size(150, 6))),
    Fault("hostile-deep", partial(attacked, attack="deep", full=Size(400), few=Size(40))),
    Fault("hostile-bombs", partial(attacked, attack="bombs", full=Size(20), few=Size(1))),
    Fault("hostile-routes", partial(attacked, attack="routes", full=Size(10_000), few=Size(300))),
]
