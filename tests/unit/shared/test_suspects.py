"""Messages whose consumers were lost again and again are handled one at a time, in any order."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aio_pika.abc import AbstractIncomingMessage

from shared.runtime.suspects import SPREAD_SECONDS, SUSPECT_AFTER, Suspects, is_suspect, returns_of
from shared.topology.delays import MAX_ATTEMPTS
from shared.topology.queues import DELIVERY_LIMIT
from support.waiting import eventually


class Handled:
    """Who is at work, and in which order they began."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.running: set[str] = set()
        self.most = 0
        self.ends: dict[str, asyncio.Event] = {}

    async def handle(self, suspects: Suspects, name: str) -> None:
        async with suspects.turn():
            self.began.append(name)
            self.running.add(name)
            self.most = max(self.most, len(self.running))
            await self.ends.setdefault(name, asyncio.Event()).wait()
            self.running.remove(name)


def pauses(seconds: Sequence[float]) -> tuple[Callable[[float, float], float], list[tuple[float, float]]]:
    asked: list[tuple[float, float]] = []
    left = iter(seconds)

    def chance(least: float, most: float) -> float:
        asked.append((least, most))
        return next(left)

    return chance, asked


def in_steps(turns: float = 0.001) -> Callable[[float], Awaitable[None]]:
    async def pause(seconds: float) -> None:
        await asyncio.sleep(seconds * turns)

    return pause


async def test_suspects_are_alone_and_come_in_the_order_of_chance() -> None:
    chance, asked = pauses([30, 20, 10])
    handled, suspects = Handled(), Suspects(alone_seconds=60, pause=in_steps(), chance=chance)
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(handled.handle(suspects, name))
        for name in ("c", "b", "a"):
            await eventually(partial(handled.running.__contains__, name), what=name)
            handled.ends[name].set()
    assert handled.began == ["c", "b", "a"]
    assert handled.most == 1
    assert asked == [(0, SPREAD_SECONDS)] * 3


async def test_one_that_is_only_slow_holds_nobody_up_for_long() -> None:
    handled, suspects = Handled(), Suspects(alone_seconds=0.01, pause=in_steps(), chance=pauses([0, 1])[0])
    async with asyncio.TaskGroup() as group:
        for name in ("slow", "next"):
            group.create_task(handled.handle(suspects, name))
        await eventually(lambda: handled.running == {"slow", "next"}, what="both at work")
        for end in handled.ends.values():
            end.set()


async def test_a_long_line_of_what_waits_for_something_else_passes_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.runtime.suspects.LINE_SECONDS", 0.5)
    handled, suspects = Handled(), Suspects(alone_seconds=60, pause=in_steps(), chance=random.Random(1).uniform)
    names = [str(number) for number in range(2500)]
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(handled.handle(suspects, name))
        await eventually(lambda: len(handled.running) == len(names), seconds=60, what="all at work")
        for end in handled.ends.values():
            end.set()


async def test_a_failure_leaves_the_line() -> None:
    suspects = Suspects(alone_seconds=60, pause=in_steps(), chance=pauses([0, 0])[0])
    for _ in range(2):
        try:
            async with asyncio.timeout(30), suspects.turn():
                raise LookupError
        except LookupError:
            continue


async def test_each_takes_one_of_three_rungs_and_none_takes_hours() -> None:
    suspects = Suspects(chance=random.Random(1).uniform)
    taken = [{suspects.pause_before(attempt) for _ in range(100)} for attempt in range(1, MAX_ATTEMPTS)]
    assert taken == [{1, 5, 15}] * 3 + [{5, 15, 60}] * 3 + [{15, 60, 300}]


async def test_of_those_that_one_kills_with_only_that_one_is_left_at_the_end() -> None:
    """Each life handles what comes before the killer in its order; what it held then comes back on the next rung."""
    dice, left = random.Random(1), [f"innocent-{number}" for number in range(60)]
    met = []
    for attempt in range(1, MAX_ATTEMPTS):
        suspects = Suspects(alone_seconds=60, pause=in_steps(), chance=dice.uniform)
        its_pause = suspects.pause_before(attempt)
        beside = [name for name in left if suspects.pause_before(attempt) == its_pause]
        died, handled = asyncio.Event(), list[str]()

        async def take(name: str, suspects: Suspects, died: asyncio.Event, handled: list[str]) -> None:
            async with suspects.turn():
                if name == "killer":
                    died.set()
                elif not died.is_set():
                    handled.append(name)

        await asyncio.gather(*(take(name, suspects, died, handled) for name in [*beside, "killer"]))
        left = [name for name in beside if name not in handled]
        met.append(len(left))
    assert met[0] < 40
    assert left == []


def test_there_are_draws_enough_to_tell_the_innocent_apart() -> None:
    """Who is done in time meets no further death: of a few thousand, one in a few dozen times one meets all."""
    assert 2500 / (2 * 3) ** (MAX_ATTEMPTS - 1) < 0.05


def test_the_ladder_is_reached_long_before_rabbitmqs_own_limit() -> None:
    assert 3 * SUSPECT_AFTER < DELIVERY_LIMIT


@pytest.mark.parametrize(
    ("headers", "returns"), [({}, 0), ({"x-delivery-count": 7}, 7), ({"x-delivery-count": "?"}, 0)]
)
def test_rabbitmq_says_how_often_a_message_has_come_back(headers: dict[str, Any], returns: int) -> None:
    assert returns_of(cast(AbstractIncomingMessage, SimpleNamespace(headers=headers))) == returns


@pytest.mark.parametrize(
    ("known", "last", "returns", "redelivered", "suspect"),
    [
        (False, False, 1, True, False),
        (False, False, SUSPECT_AFTER, True, True),
        # What the broker's count says after the ladder differs between its versions.
        (True, False, 1, False, False),
        (True, False, 0, True, True),
        (True, True, 1, True, False),
        (True, True, SUSPECT_AFTER, True, True),
    ],
)
def test_off_the_ladder_the_first_death_is_enough_until_it_would_be_the_end(
    known: bool, last: bool, returns: int, redelivered: bool, suspect: bool
) -> None:
    message = SimpleNamespace(headers={"x-delivery-count": returns}, redelivered=redelivered)
    assert is_suspect(cast(AbstractIncomingMessage, message), known=known, last=last) is suspect
