"""One id that Xero fails on hurts no other, and an outage does not multiply the calls."""

from collections import Counter
from collections.abc import Collection

import pytest

from fetcher.piecemeal import REMEMBERED_SECONDS, Part, Piecemeal
from fetcher.ports import Cut
from shared.errors import DuebellError, PermanentError, RetryableError
from unit.fetcher.samples import TENANT, guid

IDS = tuple(guid(number) for number in range(50))
REFUSED = PermanentError("xero_refused_question")
FAULTS = [RetryableError(reason) for reason in ("xero_unavailable", "xero_answer_unreadable", "xero_timeout")]


class Books:
    """Answers with the ids that were asked for, without ``hidden`` ones, and fails on the ``poison`` ones."""

    def __init__(self, error: DuebellError, *poison: str, hidden: Collection[str] = ()) -> None:
        self.error, self.poison, self.hidden = error, set(poison), hidden
        self.down = False
        self.calls: list[tuple[str, ...]] = []
        self.now = 0.0
        self.pieces = Piecemeal[list[str]](self._ask, set, lambda: self.now)

    async def _ask(self, tenant_id: str, cut: Cut) -> list[str] | None:
        asked = tuple(cut())
        assert tuple(cut()) == asked
        self.calls.append(asked)
        if self.down or self.poison & set(asked):
            raise self.error
        if len(asked) == 1 and asked[0] in self.hidden:
            return None
        return [identifier for identifier in asked if identifier not in self.hidden or len(asked) == 1]

    async def round(self, ids: Collection[str] = IDS) -> dict[str, str]:
        """What became of each id."""
        parts = await self.pieces.read(TENANT, lambda: tuple(ids))
        said: dict[str, str] = {}
        for part in parts:
            said |= {identifier: _word(part, identifier) for identifier in part.asked}
        assert said.keys() == set(ids)
        return said


def _word(part: Part[list[str]], identifier: str) -> str:
    if part.error is not None:
        return part.error.reason
    return "shown" if part.page is not None and identifier in part.page else "not found"


@pytest.mark.parametrize("number", [0, 7, 49])
async def test_an_id_that_makes_xero_refuse_the_question_is_found_at_once(number: int) -> None:
    books = Books(REFUSED, IDS[number])
    said = await books.round()
    assert Counter(said.values()) == {"shown": 49, "xero_refused_question": 1}
    assert said[IDS[number]] == "xero_refused_question"
    assert len(books.calls) <= 13


@pytest.mark.parametrize("number", [0, 7, 24, 25, 49])
@pytest.mark.parametrize("error", FAULTS, ids=str)
async def test_an_id_that_makes_xero_fail_keeps_the_others_for_one_round(error: RetryableError, number: int) -> None:
    books = Books(error, IDS[number])
    assert Counter((await books.round()).values()) == {error.reason: 50}
    assert len(books.calls) == 1
    assert Counter((await books.round()).values()) == {"shown": 49, error.reason: 1}
    assert len(books.calls) <= 1 + 12
    assert Counter((await books.round()).values()) == {"shown": 49, error.reason: 1}
    assert [len(ids) for ids in books.calls[-2:]] == [49, 1]


async def test_several_such_ids_are_found_in_a_few_rounds() -> None:
    books = Books(FAULTS[0], IDS[3], IDS[30], IDS[31])
    for _ in range(4):
        said = await books.round()
    assert Counter(said.values()) == {"shown": 47, "xero_unavailable": 3}


async def test_an_outage_does_not_multiply_the_calls() -> None:
    books = Books(FAULTS[0])
    books.down = True
    for number in range(8):
        before = len(books.calls)
        assert set((await books.round()).values()) == {"xero_unavailable"}
        assert len(books.calls) - before <= (2 if number else 1)
    books.down = False
    assert set((await books.round()).values()) == {"shown"}


async def test_after_a_long_outage_whole_batches_are_asked_for() -> None:
    books = Books(FAULTS[0])
    books.down = True
    await books.round()
    books.now += REMEMBERED_SECONDS
    books.down = False
    await books.round()
    assert [len(ids) for ids in books.calls] == [50, 50]


async def test_what_holds_the_tenant_in_between_ends_the_reading_and_keeps_what_was_read() -> None:
    books = Books(REFUSED, IDS[0])
    plain = books.pieces._ask

    async def ask(tenant_id: str, cut: Cut) -> list[str] | None:
        if len(books.calls) >= 3:
            cut()
            raise RetryableError("tenant_held", retry_after=300, counts=False)
        return await plain(tenant_id, cut)

    books.pieces = Piecemeal[list[str]](ask, set)
    assert Counter((await books.round()).values()) == {"shown": 25, "tenant_held": 25}


async def test_an_id_that_is_left_out_is_asked_for_alone_before_it_is_blamed() -> None:
    books = Books(REFUSED, hidden={IDS[3]})
    said = await books.round()
    assert (said.pop(IDS[3]), set(said.values())) == ("not found", {"shown"})
    assert books.calls == [IDS, (IDS[3],)]
    await books.round([IDS[3]])
    assert books.calls[2:] == [(IDS[3],)]


async def test_an_answer_with_none_of_its_ids_costs_no_call_for_each() -> None:
    books = Books(REFUSED)
    empty = [True]

    async def ask(tenant_id: str, cut: Cut) -> list[str] | None:
        answer = await books._ask(tenant_id, cut)
        return [] if empty and empty.pop() else answer

    books.pieces = Piecemeal[list[str]](ask, set)
    assert set((await books.round()).values()) == {"shown"}
    assert [len(call) for call in books.calls] == [50, 25, 25]
