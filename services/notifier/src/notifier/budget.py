"""A month's budget: whether the next reminder still fits, and letting go what did not as soon as it does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from notifier.model import Intent
from notifier.ports import Ledger, TenantBook
from notifier.rates import Bill, Rates
from notifier.stages import local_date
from shared.contracts.messages import MessageKind, MessageState
from shared.policy import Policy, TenantPolicy
from shared.runtime.service import Stop

MONTHLY_BUDGET = "monthly_budget"
POLL_SECONDS = 30.0
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class HeldBack:
    """How many messages of an organisation a rule holds, and where its months begin."""

    tenant_id: str
    messages: int
    time_zone: str


class Held(Protocol):
    async def by_tenant(self, rule: str) -> Sequence[HeldBack]:
        """Who has messages that the rule holds."""


def fits(budget: Decimal | None, spent: Decimal, estimate: Decimal | None) -> bool:
    """Whether a message may still leave. Without a known price it counts nothing, but finds a spent budget spent."""
    if budget is None:
        return True
    return spent < budget if estimate is None else spent + estimate <= budget


async def is_over_budget(book: TenantBook, kind: MessageKind, rules: TenantPolicy, bill: Bill) -> bool:
    """Only reminders wait for money; what alerts cost is counted all the same."""
    if rules.monthly_budget is None or kind is not MessageKind.REMINDER:
        return False
    return not fits(rules.monthly_budget, await book.spent(bill.sent_on, bill.currency), bill.estimate)


class WatchBudgets:
    """Any number may run at once. What it lets go is looked at once more like everything that leaves."""

    def __init__(
        self,
        held: Held,
        ledger: Ledger,
        policy: Policy,
        rates: Rates,
        *,
        clock: Callable[[], datetime],
        wake: Callable[[], None],
        log: Callable[[Mapping[str, int]], None],
    ) -> None:
        self._held = held
        self._ledger = ledger
        self._policy = policy
        self._rates = rates
        self._clock = clock
        self._wake = wake
        self._log = log

    async def run(self, stop: Stop) -> None:
        while not stop.is_set():
            await self.run_once()
            await stop.wait(POLL_SECONDS)

    async def run_once(self) -> None:
        """Let go as many as fit."""
        still: dict[str, int] = {}
        for item in await self._held.by_tenant(MONTHLY_BUDGET):
            gone = await self._let_go(item)
            if gone < item.messages:
                still[item.tenant_id] = item.messages - gone
            if gone:
                self._wake()
        self._log(still)

    async def _let_go(self, item: HeldBack) -> int:
        rules, now = self._policy.for_tenant(item.tenant_id), self._clock()
        today = local_date(now, item.time_zone)
        gone = 0
        async with self._ledger.open(item.tenant_id, now) as book:
            spent = await book.spent(today, rules.billing_currency)
            for intent, phone in await book.held_for(MONTHLY_BUDGET, AT_ONCE):
                bill = self._rates.bill(phone, rules.billing_currency, today) if phone else None
                estimate = bill.estimate if bill else None
                if not fits(rules.monthly_budget, spent, estimate):
                    break
                spent += estimate or Decimal(0)
                gone += await self._plan(book, intent, now)
        return gone

    async def _plan(self, book: TenantBook, intent: Intent, now: datetime) -> bool:
        return await book.move(intent, MessageState.PLANNED, None, now)
