"""Questions of one tenant share calls; tenants, failures and cancellations stay apart."""

import asyncio
from collections.abc import Mapping

import pytest

from fetcher.gatherer import Gatherer
from fetcher.pauses import MUCH
from fetcher.ports import Cut
from shared.errors import PermanentError, RetryableError
from unit.fetcher.samples import TENANT, guid


class FakeSource:
    """Answers every id with its own name, once its permit gate is open."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.answering = asyncio.Event()
        self.answering.set()
        self.before_cut: Exception | None = None
        self.after_cut: Exception | None = None

    async def read(self, tenant_id: str, cut: Cut) -> Mapping[str, str | Exception]:
        await self.gate.wait()
        if self.before_cut:
            raise self.before_cut
        asked = tuple(cut())
        assert tuple(cut()) == asked
        self.calls.append((tenant_id, asked))
        await self.answering.wait()
        if self.after_cut:
            raise self.after_cut
        return {key: PermanentError("invoice_not_found") if key == "lost" else f"read {key}" for key in asked}


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


async def test_twenty_identical_questions_are_one_call(source: FakeSource) -> None:
    gatherer = Gatherer[str](source.read)
    answers = await asyncio.gather(*(gatherer.load(TENANT, guid(1)) for _ in range(20)))
    assert set(answers) == {f"read {guid(1)}"}
    assert source.calls == [(TENANT, (guid(1),))]


async def test_a_hundred_and_twenty_ids_are_three_calls(source: FakeSource) -> None:
    gatherer = Gatherer[str](source.read)
    answers = await asyncio.gather(*(gatherer.load(TENANT, guid(number)) for number in range(120)))
    assert answers == [f"read {guid(number)}" for number in range(120)]
    assert [len(asked) for _, asked in source.calls] == [50, 50, 20]


async def test_the_batch_is_cut_when_the_permit_comes(source: FakeSource) -> None:
    source.gate.clear()
    gatherer = Gatherer[str](source.read, linger_seconds=0, pause_seconds=0)
    first = asyncio.create_task(gatherer.load(TENANT, guid(1)))
    await _settled()
    second = asyncio.create_task(gatherer.load(TENANT, guid(2)))
    await _settled()
    source.gate.set()
    await asyncio.gather(first, second)
    assert source.calls == [(TENANT, (guid(1), guid(2)))]


async def test_a_trickle_of_questions_shares_calls(source: FakeSource) -> None:
    gatherer = Gatherer[str](source.read, linger_seconds=0, pause_seconds=0.2)
    await gatherer.load(TENANT, guid(0))
    asked = []
    for number in range(1, 11):
        asked.append(asyncio.create_task(gatherer.load(TENANT, guid(number))))
        await _settled()
    await asyncio.gather(*asked)
    assert [len(ids) for _, ids in source.calls] == [1, 10]


async def test_a_whole_batch_does_not_wait_for_more(source: FakeSource) -> None:
    gatherer = Gatherer[str](source.read, linger_seconds=0, pause_seconds=60)
    source.answering.clear()
    first = asyncio.create_task(gatherer.load(TENANT, guid(0)))
    await _settled()
    asked = [asyncio.create_task(gatherer.load(TENANT, guid(number))) for number in range(1, 51)]
    await _settled()
    source.answering.set()
    async with asyncio.timeout(5):
        await asyncio.gather(first, *asked)
    assert [len(ids) for _, ids in source.calls] == [1, 50]
    await gatherer.close()


async def test_what_comes_while_the_process_is_behind_shares_a_call(source: FakeSource) -> None:
    behind = [True]
    gatherer = Gatherer[str](source.read, linger_seconds=0, pause_seconds=0, is_behind=lambda: bool(behind))
    await gatherer.load(TENANT, guid(0))
    asked = [asyncio.create_task(gatherer.load(TENANT, guid(number))) for number in range(1, 6)]
    await asyncio.sleep(0.05)
    asked += [asyncio.create_task(gatherer.load(TENANT, guid(number))) for number in range(6, 11)]
    await _settled()
    behind.clear()
    await asyncio.gather(*asked)
    assert [len(ids) for _, ids in source.calls] == [1, 10]


async def test_who_waits_for_company_makes_room_for_others(source: FakeSource) -> None:
    gatherer = Gatherer[str](source.read, linger_seconds=0, pause_seconds=60, crowd=3)
    for tenant in ("busy", "other"):
        await gatherer.load(tenant, guid(0))
    asked = [asyncio.create_task(gatherer.load("busy", guid(number))) for number in range(1, 3)]
    await _settled()
    assert len(source.calls) == 2
    last = asyncio.create_task(gatherer.load("other", guid(3)))
    async with asyncio.timeout(5):
        await asyncio.gather(*asked)
    assert [ids for _, ids in source.calls[2:]] == [(guid(1), guid(2))]
    last.cancel()
    await gatherer.close()


@pytest.mark.parametrize(("brought", "next_seconds"), [(MUCH - 1, 4), (MUCH, 8)])
async def test_a_trickle_hardly_waits_and_a_burst_ever_longer(
    source: FakeSource, brought: int, next_seconds: float
) -> None:
    gatherer = Gatherer[str](source.read, linger_seconds=0, pause_seconds=4)
    await gatherer.load(TENANT, guid(0))
    asked = [asyncio.create_task(gatherer.load(TENANT, guid(number + 1))) for number in range(brought)]
    await _settled()
    gatherer._pauses[TENANT].end()
    await asyncio.gather(*asked)
    await _settled()
    assert gatherer._pauses[TENANT].quiet_seconds == next_seconds
    await gatherer.close()


async def test_an_id_that_is_being_read_is_read_again(source: FakeSource) -> None:
    source.answering.clear()
    gatherer = Gatherer[str](source.read, linger_seconds=0, pause_seconds=0)
    first = asyncio.create_task(gatherer.load(TENANT, guid(1)))
    await _settled()
    second = asyncio.create_task(gatherer.load(TENANT, guid(1)))
    await _settled()
    source.answering.set()
    await asyncio.gather(first, second)
    assert len(source.calls) == 2


async def test_a_tenant_that_waits_holds_up_no_other(source: FakeSource) -> None:
    quick = FakeSource()
    source.gate.clear()

    async def read(tenant_id: str, cut: Cut) -> Mapping[str, str | Exception]:
        return await (source if tenant_id == "busy" else quick).read(tenant_id, cut)

    gatherer = Gatherer[str](read, linger_seconds=0, pause_seconds=0)
    held = asyncio.create_task(gatherer.load("busy", guid(1)))
    assert await gatherer.load("quiet", guid(2)) == f"read {guid(2)}"
    source.gate.set()
    await held


async def test_a_cancelled_handler_does_not_cancel_its_neighbours_call(source: FakeSource) -> None:
    source.answering.clear()
    gatherer = Gatherer[str](source.read, linger_seconds=0, pause_seconds=0)
    leaving = asyncio.create_task(gatherer.load(TENANT, guid(1)))
    staying = asyncio.create_task(gatherer.load(TENANT, guid(1)))
    await _settled()
    leaving.cancel()
    await _settled()
    source.answering.set()
    assert await staying == f"read {guid(1)}"
    assert leaving.cancelled()
    assert len(source.calls) == 1


async def test_one_lost_id_spoils_no_other(source: FakeSource) -> None:
    gatherer = Gatherer[str](source.read)
    lost, found = await asyncio.gather(
        gatherer.load(TENANT, "lost"), gatherer.load(TENANT, guid(1)), return_exceptions=True
    )
    assert isinstance(lost, PermanentError)
    assert found == f"read {guid(1)}"


async def test_a_failed_call_fails_its_own_batch_only(source: FakeSource) -> None:
    source.after_cut = RetryableError("xero_timeout")
    gatherer = Gatherer[str](source.read)
    outcomes = await asyncio.gather(
        *(gatherer.load(TENANT, guid(number)) for number in range(60)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [RetryableError] * 60
    assert [len(asked) for _, asked in source.calls] == [50, 10]


async def test_a_refusal_before_the_cut_holds_for_all_that_wait(source: FakeSource) -> None:
    source.before_cut = RetryableError("reconnect_needed")
    gatherer = Gatherer[str](source.read)
    outcomes = await asyncio.gather(
        *(gatherer.load(TENANT, guid(number)) for number in range(60)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [RetryableError] * 60
    assert source.calls == []


async def test_an_idle_tenant_keeps_no_task(source: FakeSource) -> None:
    gatherer = Gatherer[str](source.read, linger_seconds=0, pause_seconds=0)
    await gatherer.load(TENANT, guid(1))
    await _settled()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert await gatherer.load(TENANT, guid(2)) == f"read {guid(2)}"


async def test_closing_lets_nobody_wait_for_ever(source: FakeSource) -> None:
    source.answering.clear()
    gatherer = Gatherer[str](source.read, linger_seconds=0, pause_seconds=0)
    cut = asyncio.create_task(gatherer.load(TENANT, guid(1)))
    await _settled()
    waiting = asyncio.create_task(gatherer.load(TENANT, guid(2)))
    await _settled()
    await gatherer.close()
    outcomes = await asyncio.gather(cut, waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2


async def _settled() -> None:
    """Let every task run as far as it can without time passing."""
    for _ in range(10):
        await asyncio.sleep(0)
