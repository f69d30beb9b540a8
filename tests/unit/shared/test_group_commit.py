"""Many callers, one transaction: in order, in bounds, and each with its own fault alone."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.runtime.group_commit import GroupCommit


class Ledger:
    """Does each group when it is let; an item that is an exception is a faulty one."""

    def __init__(self) -> None:
        self.groups: list[list[object]] = []
        self.done: list[object] = []
        self.go = asyncio.Event()

    async def work(self, items: Sequence[object]) -> Sequence[str]:
        self.groups.append(list(items))
        await self.go.wait()
        for item in items:
            if isinstance(item, BaseException):
                raise item
        self.done += items
        return [f"{item}!" for item in items]


async def begun(commit: GroupCommit[object, str], items: Sequence[object]) -> list[asyncio.Task[str]]:
    """The callers, of whom the first is being worked for."""

    async def call(item: object) -> str:
        return await commit(item)

    tasks = [asyncio.create_task(call(item)) for item in items]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def outcomes(tasks: Sequence[asyncio.Task[str]]) -> list[object]:
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def test_who_comes_alone_waits_for_nobody() -> None:
    ledger = Ledger()
    ledger.go.set()
    assert await GroupCommit(ledger.work, most=10)("a") == "a!"
    assert ledger.groups == [["a"]]


async def test_what_comes_meanwhile_goes_together_in_order_and_in_bounds() -> None:
    ledger = Ledger()
    tasks = await begun(GroupCommit(ledger.work, most=3), list("abcdefgh"))
    assert not any(task.done() for task in tasks)
    ledger.go.set()
    assert await outcomes(tasks) == [f"{item}!" for item in "abcdefgh"]
    assert ["".join(map(str, group)) for group in ledger.groups] == ["abc", "def", "gh"]


async def test_nobody_is_answered_before_the_whole_group_is_done() -> None:
    ledger = Ledger()
    tasks = await begun(GroupCommit(ledger.work, most=8), list("abcdefgh"))
    assert ledger.groups == [list("abcdefgh")]
    assert not any(task.done() for task in tasks)
    ledger.go.set()
    await outcomes(tasks)


async def test_a_faulty_one_harms_no_other() -> None:
    ledger, fault = Ledger(), ValueError("mine")
    tasks = await begun(GroupCommit(ledger.work, most=8), ["a", "b", fault, "c", "d"])
    ledger.go.set()
    assert await outcomes(tasks) == ["a!", "b!", fault, "c!", "d!"]
    assert ledger.done == ["a", "b", "c", "d"]


async def test_where_the_database_is_away_two_tries_are_enough() -> None:
    ledger = Ledger()
    away = [ConnectionRefusedError(str(number)) for number in range(20)]
    tasks = await begun(GroupCommit(ledger.work, most=20), away)
    ledger.go.set()
    assert await outcomes(tasks) == [away[0], *[away[1]] * 19]
    assert len(ledger.groups) == 3


async def test_one_that_looks_like_an_outage_harms_no_other() -> None:
    ledger, fault = Ledger(), OSError("mine")
    tasks = await begun(GroupCommit(ledger.work, most=8), ["a", fault, "b", fault, "c"])
    ledger.go.set()
    assert await outcomes(tasks) == ["a!", fault, "b!", fault, "c!"]


async def test_a_caller_that_leaves_takes_its_item_along() -> None:
    ledger = Ledger()
    tasks = await begun(GroupCommit(ledger.work, most=2), list("abcd"))
    tasks[0].cancel()
    tasks[3].cancel()
    ledger.go.set()
    left = await outcomes(tasks)
    assert left[1:3] == ["b!", "c!"]
    # The first was being worked on already, which cannot be taken back.
    assert ledger.done == ["a", "b", "c"]


async def test_what_ends_a_process_reaches_who_waits() -> None:
    class Killed(BaseException):
        pass

    ledger = Ledger()
    tasks = await begun(GroupCommit(ledger.work, most=8), ["a", Killed(), "b"])
    ledger.go.set()
    for task in tasks:
        with pytest.raises(Killed):
            await task
    assert ledger.done == []
