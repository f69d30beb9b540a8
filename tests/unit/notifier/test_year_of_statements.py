"""Mistakes of grouping, sown one by one: whoever judges the simulated year sees each of them."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from notifier import decide, gathering, last_look, statement_text, together
from notifier.model import Decision, Intent, Verdict
from notifier.ports import TemplateMessage
from shared.contracts.messages import MessageState
from support.year import Year
from support.year_books import organisation
from support.year_checker import breaches
from unit.notifier.test_year import zones

DAYS = 120
GROUPED = [number for number in range(64) if number // 8 % 2]
"""Organisations whose policy groups."""


class LeavesOneBehind(Year):
    """Of those that a statement told of, one stays planned."""

    def settle(self, together: Sequence[Intent], state: MessageState) -> None:
        super().settle(together, state)
        if len(together) > 1:
            left = self._intent(together[-1].intent_id)
            self.book.change(left, state=MessageState.PLANNED)
            self._send_later(left.intent_id, self.now)


class TellsOfOneTwice(Year):
    """The customer reads of one invoice less than the message counts."""

    def told_of(self, message: TemplateMessage, together: Sequence[Intent]) -> Sequence[Intent]:
        return [*together[:-1], together[0]] if len(together) > 1 else together


class CountsNothing(Year):
    """Statements are no reminders to the caps."""

    def settle(self, together: Sequence[Intent], state: MessageState) -> None:
        super().settle(together, state)
        for each in together if len(together) > 1 else ():
            changed = self._intent(each.intent_id)
            self.book.change(changed, statement="the same for all")


def nothing_cancelled(*_: object, **__: object) -> list[Decision]:
    return []


def never_judged(intent: Intent, *_: object) -> Decision:
    return Decision(intent.kind, intent.stage, Verdict.SEND, "due")


def doubled(snapshots: Sequence[Any], locale: Any) -> str:
    return _TOTALS([*snapshots, snapshots[0]], locale)


def of_any_stage(rules: Any, kind: Any, stage: int | None) -> bool:
    return bool(rules.group_by_contact) and stage is not None


_TOTALS = statement_text.totals
Mistake = tuple[type[Year], list[tuple[Any, str, Any]], set[str]]
MISTAKES: dict[str, Mistake] = {
    "what is paid stays in the total": (
        Year,
        [(together, "still_wanted", never_judged), (decide, "_cancelled", nothing_cancelled)],
        {"paid_invoice"},
    ),
    "one is in the total twice": (Year, [(statement_text, "totals", doubled)], {"wrong_total"}),
    "one is counted twice": (TellsOfOneTwice, [], {"wrong_count"}),
    "one stays planned and is sent again": (LeavesOneBehind, [], {"twice"}),
    "statements are not counted": (CountsNothing, [], {"week_cap", "month_cap"}),
    "what is not overdue is grouped": (Year, [(last_look, "gathers", of_any_stage)], {"ungrouped"}),
    "the newest is called the oldest": (Year, [(statement_text, "min", max)], {"wrong_oldest"}),
}


SEEN_LATE = {
    "what is paid stays in the total": 47,
    "statements are not counted": 12,
    "what is not overdue is grouped": 27,
}
"""Where to begin, lest organisations be played in which the mistake does no harm."""


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_the_judge_notices(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, patches, expected = MISTAKES[mistake]
    for module, name, wrong in patches:
        monkeypatch.setattr(module, name, wrong, raising=False)
    names = zones()
    for number in (each for each in GROUPED if each >= SEEN_LATE.get(mistake, 0)):
        year = made(organisation(Random(f"{number} {names[number]}"), number, names[number], DAYS), DAYS, number)
        await year.play()
        if expected & breaches(year.organisation, year.posts).keys():
            return
    pytest.fail(f"nobody noticed: {mistake}")


async def test_without_a_mistake_there_is_nothing_to_notice() -> None:
    names, sizes = zones(), []
    for number in GROUPED[:4]:
        year = Year(organisation(Random(f"{number} {names[number]}"), number, names[number], DAYS), DAYS, number)
        await year.play()
        assert breaches(year.organisation, year.posts) == {}
        sizes += [len(post.accounts) for post in year.posts]
    assert max(sizes) > 2
    assert max(sizes) <= gathering.MOST_TOGETHER
