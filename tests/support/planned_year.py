"""A made-up year whose days are foretold as they begin and compared when they are over, with surprises on top."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from notifier.day_plan import DayPlan, day_plan
from notifier.model import Decision, Intent, Snapshot
from notifier.ports import TemplateMessage
from notifier.reconciliation import Comparison, Decided, Happened, compare
from shared.contracts.messages import MessageState
from support.memory_ledger import MemoryBook
from support.quiet_week import QuietWeek
from support.year_books import START, Organisation


class NotedBook(MemoryBook):
    """Keeps the last decision about each candidate, as the ledger does."""

    def __init__(self, book: MemoryBook, known: dict[Any, Decided]) -> None:
        self.__dict__.update(book.__dict__)
        self.known = known

    async def record(self, snapshot: Snapshot, decision: Decision, now: datetime) -> None:
        await super().record(snapshot, decision, now)
        key = (snapshot.invoice.invoice_id, decision.kind, decision.stage)
        if not (decision.weak and key in self.known):
            self.known[key] = Decided(key, decision.verdict.value, decision.rule, now)


class PlannedYear(QuietWeek):
    """``missed``: the share of daily scans that are not made."""

    def __init__(self, organisation: Organisation, days: int, seed: int, missed: float = 0.1) -> None:
        super().__init__(replace(organisation, policy={**organisation.policy, "scan_spread_minutes": 0}), days, seed)
        self.comparisons: list[Comparison] = []
        self.decided: dict[Any, Decided] = {}
        self._plan: DayPlan | None = None
        self._missed, self._luck = missed, Random(seed)
        self.book = NotedBook(self.book, self.decided)
        self._intake._ledger.book = self.book  # type: ignore[attr-defined]  # the same ledger with a memory
        zone = ZoneInfo(organisation.zone)
        for day in range(1, days):
            local = (START + timedelta(days=day)).astimezone(zone).date()
            midnight = datetime(local.year, local.month, local.day, tzinfo=zone)
            self._at(midnight.astimezone(ZoneInfo("UTC")), partial(self._midnight))

    async def _midnight(self) -> None:
        if self._plan is not None and self._plan.ends_at <= self.now:
            self.comparisons.append(compare(self._plan, self._happened()))
            self._plan = None
        if self._plan is None:
            self._plan = day_plan(await self.facts(), self.rules(), self.now)

    def _happened(self) -> Happened:
        return Happened(dict(self.book.intents), dict(self.decided), dict(self.book.snapshots))

    async def _scan(self) -> None:
        if self._luck.random() >= self._missed:
            await super()._scan()

    def _answer(self, together: Sequence[Intent], message: TemplateMessage) -> None:
        super()._answer(together, message)
        for each in together:
            now = self._intent(each.intent_id)
            if now.state is MessageState.PLANNED:
                self.book.change(now, reason="whatsapp_130429")


def figures(comparisons: list[Comparison]) -> tuple[Counter[str], list[Any]]:
    """How often each rule explained a difference, and what nothing explains."""
    rules = Counter(item.rule or "unexplained" for each in comparisons for item in each.differences)
    return rules, [(each.day, item) for each in comparisons for item in each.differences if item.rule is None]
