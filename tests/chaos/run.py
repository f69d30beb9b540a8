"""Plays a plan: load on, one fault after the other, load off, everything at rest, history closed."""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import redis

from chaos.databases import NAMES, NOTIFIER, UNREADABLE, Kind, SqliteFiles
from chaos.faults import Fault, Missed
from chaos.faults.points import connect_the_punctual
from chaos.history import History
from chaos.load import Load
from chaos.plan import Plan
from chaos.scene import Scene
from chaos.staging import a_scene
from chaos.until import NotInTime, until
from chaos.watching import Watcher
from deploy.errors import StackError

_WARM_SECONDS = 90.0
_THREADS = 32
_NO_TIME = "no time left"
_LOOK_EVERY = 1.0
_LETTERS_SECONDS = 20.0
_FAILED = (Missed, NotInTime, StackError, httpx.HTTPError, redis.RedisError, *UNREADABLE)

Say = Callable[[str], None]
Lane = Sequence[tuple[int, Fault]]
"""Faults with their numbers, which come one after the other."""


async def play(plan: Plan, seed: int, folder: Path, history: History, say: Say, database: Kind = "sqlite") -> None:
    """Raises :class:`NotInTime` when the installation does not even start."""
    # Each lane waits in threads of its own for what it took down; the watcher must not wait for them.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
    say("Starting the installation, every link through a proxy ...")
    async with a_scene(
        folder,
        history,
        seed,
        plan.tenants,
        on_small_disk=any(fault.small_disk for fault in plan.faults),
        on_cluster=any(fault.cluster for fault in plan.faults),
        apart=plan.apart,
        database=database,
    ) as scene:
        say(f"{len(scene.tenants)} organisations are connected; load on.")
        scene.full = plan.full
        if plan.apart:
            await connect_the_punctual(scene)
        await Watcher(scene).replicas()
        load = Load(scene, Random(f"{seed} load"), plan.rate)
        await load.prepare()
        await _Run(plan, seed, scene, load, Watcher(scene), say).play()


class _Run:
    def __init__(self, plan: Plan, seed: int, scene: Scene, load: Load, watcher: Watcher, say: Say) -> None:
        self._plan = plan
        self._seed = seed
        self._scene = scene
        self._load = load
        self._watcher = watcher
        self._say = say
        self._recovering: set[asyncio.Task[None]] = set()
        self._scans: set[asyncio.Task[None]] = set()
        self._lenient = 0

    async def play(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._watcher.follow())
            loading = group.create_task(self._load.run())
            began = loop.time()
            await self._warm()
            self._say("The first messages are out.")
            for lanes in self._rounds():
                await asyncio.gather(*(self._follow(lane, began, scans=lane is lanes[0]) for lane in lanes))
            self._load.stop()
            await loading
            await self._rest()
            following.cancel()
        await self._watcher.conclude()

    def _rounds(self) -> Iterator[list[Lane]]:
        numbered = list(enumerate(self._plan.faults, start=1))
        of_round = self._plan.in_round or len(numbered) or 1
        for first in range(0, len(numbered), of_round):
            yield lanes_of(numbered[first : first + of_round]) if self._plan.overlapping else [numbered]

    async def _follow(self, lane: Lane, began: float, *, scans: bool) -> None:
        for place, (number, fault) in enumerate(lane):
            if why := self._why_not(fault, asyncio.get_running_loop().time() - began):
                wanted = why == _NO_TIME and not self._plan.may_end_early
                self._scene.history.add("left_out", name=fault.name, why=why, wanted=wanted)
                self._say(f"{number:>3}/{len(self._plan.faults)}  {fault.name} is left out: {why}")
                continue
            if place % 5 == 0 and scans:
                self._scan(self._scene.tenants[place // 5 % len(self._scene.tenants)])
            await self._one(number, fault)
            await asyncio.sleep(self._plan.peace)

    def _scan(self, tenant: str) -> None:
        """The command takes seconds; nobody waits for it but the end."""
        scan = asyncio.create_task(self._load.scan(tenant))
        self._scans.add(scan)
        scan.add_done_callback(self._scans.discard)

    def _why_not(self, fault: Fault, gone: float) -> str:
        """Why a fault is left out; empty when it is not."""
        if gone > self._plan.seconds:
            return _NO_TIME
        databases = self._scene.databases
        if fault.database not in {"", databases.kind}:
            return f"the databases are in {NAMES[databases.kind]}"
        if fault.small_disk and not (isinstance(databases, SqliteFiles) and databases.file(NOTIFIER).parent.is_mount()):
            return "no disk of its own could be mounted"
        return ""

    async def _warm(self) -> None:
        """Nothing is broken before everything has worked once."""
        await asyncio.sleep(self._plan.peace)
        if not await self._settled(self._scene.history.now(), _WARM_SECONDS):
            raise NotInTime("the first events had no end before anything was broken")

    async def _rest(self) -> None:
        self._say("Load off; waiting for everything to come to rest ...")
        if pending := self._recovering | self._scans:
            await asyncio.wait(pending)
        await self._scene.ready()
        await self._load.settle(self._plan.patience)
        await self._settled(self._scene.history.now(), self._plan.patience)
        await self._buried(max((fault.lingers for fault in self._plan.faults), default=0) or _LETTERS_SECONDS)

    async def _buried(self, seconds: float) -> None:
        """Return when there are as many dead letters as there was poison, or after so many seconds."""
        poisons = sum(row["what"] == "poison" for row in self._scene.history.recent)
        with suppress(NotInTime):
            await until(partial(self._letters, poisons), seconds, "the last dead letter")

    async def _letters(self, wanted: int) -> bool:
        return not wanted or await self._scene.dead_letters() >= wanted

    async def _one(self, number: int, fault: Fault) -> None:
        history = self._scene.history
        if fault.loses_answers:
            await self._lenience(+1)
        dice = Random(f"{self._seed} {number} {fault.name}")
        about: dict[str, Any] = {"number": number, "name": fault.name}
        history.add(
            "fault",
            phase="begin",
            loses_answers=fault.loses_answers,
            shuts_door=fault.shuts_door,
            moves_clock=fault.moves_clock,
            service=fault.service,
            back_within=fault.back_within,
            **about,
        )
        began = history.now()
        problem = ""
        try:
            async with fault.inflict(self._scene, dice):
                await asyncio.sleep(fault.seconds)
        except _FAILED as error:
            problem = f"{type(error).__name__}: {error}"
        ended = history.now()
        history.add("fault", at=ended, phase="end", kills=0 if problem else fault.kills, **about)
        if problem:
            history.add("fault", phase="missed", why=problem, **about)
        self._say(f"{number:>3}/{len(self._plan.faults)}  {fault.name}, {ended - began:.1f} s  {problem}")
        recovery = asyncio.create_task(self._recover(number, fault, ended))
        self._recovering.add(recovery)
        recovery.add_done_callback(self._recovering.discard)
        if self._plan.overlapping:
            if fault.lane == Fault.lane or fault.service:
                await self._ready(fault)
        else:
            await recovery

    async def _recover(self, number: int, fault: Fault, ended: float) -> None:
        history = self._scene.history
        patience = max(self._plan.patience, fault.lingers)
        ready = await self._ready(fault)
        took = history.now() - ended
        if ready and await self._settled(ended, patience):
            history.add("fault", phase="recovered", number=number, name=fault.name, ready=round(took, 2))
            history.forget(ended)
        else:
            self._say(f"{fault.name}: no recovery within {patience:.0f} s")
        if fault.loses_answers:
            await self._lenience(-1)

    async def _ready(self, fault: Fault) -> bool:
        """Whether all that it takes down answers again; what others take down meanwhile is theirs."""
        return await self._scene.ready(self._plan.patience, fault.service)

    async def _settled(self, until: float, seconds: float) -> bool:
        """Whether all that was accepted before ``until`` comes to an end, however slow the machine is.

        It is given up when for ``seconds`` nothing more of it has.
        """
        loop = asyncio.get_running_loop()
        fewest, end = math.inf, loop.time() + seconds
        while left := await self._watcher.left(self._scene.history.recent, until):
            if left < fewest:
                fewest, end = left, loop.time() + seconds
            elif loop.time() > end:
                return False
            await asyncio.sleep(_LOOK_EVERY)
        return True

    async def _lenience(self, change: int) -> None:
        """While an answer may be lost, the provider takes a token twice, as Xero does; else never."""
        self._lenient += change
        with suppress(httpx.HTTPError):
            await self._scene.sandbox.settings(mode="xero" if self._lenient else "strict")


def lanes_of(numbered: Lane) -> list[Lane]:
    """The main lane, or else the longest, comes first."""
    names = dict.fromkeys(fault.lane for _, fault in numbered)
    lanes = {name: [each for each in numbered if each[1].lane == name] for name in names}
    return sorted(lanes.values(), key=lambda lane: (lane[0][1].lane != Fault.lane, -len(lane)))
