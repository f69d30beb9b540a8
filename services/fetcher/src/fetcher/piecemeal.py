"""Reads many ids in one question, and in ever smaller ones where Xero fails on the whole: no id spoils another."""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fetcher.batches import halves
from fetcher.faults import OF_ALL_OR_OF_ONE, REFUSED_QUESTION
from fetcher.ports import Cut
from shared.errors import DuebellError

Page = TypeVar("Page")
Ask = Callable[[str, Cut], Awaitable[Page | None]]
"""Puts one question for the cut's ids; None for "not found"."""

REMEMBERED_SECONDS = 240.0
"""Shorter than the pauses of a long outage, so that after it whole batches are asked for again."""
_MOST_REMEMBERED = 5000
_FAULTS_WITHOUT_ANSWER, _FAULTS_IN_A_ROW = 2, 3


@dataclass(frozen=True)
class Part(Generic[Page]):
    """What came of one question for ``asked``: a page, an error, or neither for "not found".

    Of an id in two parts the later one tells more.
    """

    asked: tuple[str, ...]
    page: Page | None = None
    error: DuebellError | None = None


class Piecemeal(Generic[Page]):
    """``shown`` says which of the ids a page answers.

    A batch that Xero refuses is halved at once. One that Xero fails on is halved only when it has failed before, or
    when other ids were answered meanwhile: else an outage would multiply its calls. An id that a batch's answer leaves
    out is asked for alone before it is blamed, and one that answers none of its ids is halved.
    """

    def __init__(
        self,
        ask: Ask[Page],
        shown: Callable[[Page], Collection[str]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._shown = shown
        self._now = now
        self._failed: dict[tuple[str, str], tuple[int, float]] = {}
        """Tenant and id → how many were asked for when that failed, and until when it matters."""

    async def read(self, tenant_id: str, cut: Cut) -> Sequence[Part[Page]]:
        """A part for every id of the cut. Raises what refuses the first question before the ids are cut."""
        run = _Run[Page]()

        def first() -> Sequence[str]:
            if not run.asked:
                run.waiting.extend(self._groups(tenant_id, cut()))
                run.asked = run.waiting.popleft()
            return run.asked

        question: Cut = first
        while True:
            try:
                page = await self._ask(tenant_id, question)
            except DuebellError as error:
                if not run.asked:
                    raise
                self._failure(tenant_id, run, error)
            else:
                self._answer(tenant_id, run, page)
            if not run.waiting:
                return [*run.parts, *(Part[Page](ids, error=error) for ids, error in run.doubtful)]
            run.asked = run.waiting.popleft()
            question = _of(run.asked)

    def _answer(self, tenant_id: str, run: "_Run[Page]", page: Page | None) -> None:
        run.answered()
        if page is None and len(run.asked) > 1:
            # Xero says "not found" of a question that is too long, too.
            run.waiting.extend(halves(run.asked))
            return
        run.parts.append(Part(run.asked, page))
        if page is None:
            return
        shown = self._shown(page)
        for identifier in run.asked:
            self._failed.pop((tenant_id, identifier), None)
        left_out = [identifier for identifier in run.asked if identifier not in shown]
        if len(run.asked) > 1 and len(left_out) == len(run.asked):
            run.waiting.extend(halves(run.asked))
        elif len(run.asked) > 1:
            run.waiting.extend((identifier,) for identifier in left_out)

    def _failure(self, tenant_id: str, run: "_Run[Page]", error: DuebellError) -> None:
        if error.reason == REFUSED_QUESTION:
            run.answered()
            if len(run.asked) > 1:
                run.waiting.extend(halves(run.asked))
            else:
                run.parts.append(Part(run.asked, error=error))
            return
        if error.reason not in OF_ALL_OR_OF_ONE:
            run.give_up(error)
            return
        self._remember(tenant_id, run.asked)
        run.faults += 1
        if run.faults >= (_FAULTS_IN_A_ROW if run.is_answered else _FAULTS_WITHOUT_ANSWER):
            run.give_up(error)
        elif len(run.asked) == 1:
            run.parts.append(Part(run.asked, error=error))
        elif run.is_answered:
            run.waiting.extend(halves(run.asked))
        else:
            run.doubtful.append((run.asked, error))

    def _groups(self, tenant_id: str, ids: Iterable[str]) -> list[tuple[str, ...]]:
        """The ids that never failed together; the others at most half as many at a time as when they failed."""
        now = self._now()
        sound: list[str] = []
        suspects: dict[int, list[str]] = {}
        for identifier in ids:
            size, until = self._failed.get((tenant_id, identifier), (0, 0.0))
            (suspects.setdefault((size + 1) // 2, []) if until > now else sound).append(identifier)
        groups = [tuple(sound)] if sound else []
        for most in sorted(suspects, reverse=True):
            of_size = suspects[most]
            groups += [tuple(of_size[start : start + most]) for start in range(0, len(of_size), most)]
        return groups

    def _remember(self, tenant_id: str, ids: Sequence[str]) -> None:
        now = self._now()
        if len(self._failed) > _MOST_REMEMBERED:
            self._failed = {key: failed for key, failed in self._failed.items() if failed[1] > now}
        for identifier in ids:
            self._failed.pop((tenant_id, identifier), None)
            self._failed[(tenant_id, identifier)] = (len(ids), now + REMEMBERED_SECONDS)
        while len(self._failed) > _MOST_REMEMBERED:
            del self._failed[next(iter(self._failed))]


class _Run(Generic[Page]):
    """One reading: ``doubtful`` are batches that failed before anything was answered."""

    def __init__(self) -> None:
        self.asked: tuple[str, ...] = ()
        self.waiting: deque[tuple[str, ...]] = deque()
        self.parts: list[Part[Page]] = []
        self.doubtful: list[tuple[tuple[str, ...], DuebellError]] = []
        self.is_answered = False
        self.faults = 0

    def answered(self) -> None:
        """Xero is there: what failed did not fail for want of it."""
        self.is_answered, self.faults = True, 0
        for ids, _ in self.doubtful:
            self.waiting.extend(halves(ids))
        self.doubtful.clear()

    def give_up(self, error: DuebellError) -> None:
        self.parts.extend(Part[Page](ids, error=error) for ids in (self.asked, *self.waiting))
        self.waiting.clear()


def _of(ids: tuple[str, ...]) -> Cut:
    return lambda: ids
