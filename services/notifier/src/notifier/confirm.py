"""Telling a person once that no more messages come; never late, never twice."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifier.confirm_ports import Confirmation, Confirmations, SendsTexts, TextMessage
from notifier.halts import CHECKED_WITHIN
from notifier.ports import Outcome, Pace, Rejected
from notifier.rates import SERVICE, Rates
from notifier.sender import SENDER_GONE_AFTER
from notifier.stages import local_date
from notifier.stop_texts import stop_text
from notifier.whatsapp_errors import CLAIM_TOO_OLD, ErrorClass, retry_after
from shared.policy import Policy
from shared.runtime.service import Stop

WINDOW = timedelta(hours=23)
"""WhatsApp takes free text for 24 hours after the person wrote; what is later than this is not said any more."""
BATCH = 50
TRIES = 3
POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Line:
    """A sender that free text may go by."""

    pace: Pace
    provider: SendsTexts


class ConfirmStops:
    """Any number may run at once: a claim in the ledger decides who posts."""

    def __init__(
        self,
        confirmations: Confirmations,
        lines: Mapping[str, Line],
        policy: Policy,
        rates: Rates,
        *,
        clock: Callable[[], datetime],
        attempted: Callable[[str, Outcome], None],
    ) -> None:
        """``lines`` by the sender's name; who stops messages of a sender without one is not answered."""
        self._confirmations = confirmations
        self._lines = lines
        self._policy = policy
        self._rates = rates
        self._clock = clock
        self._attempted = attempted

    async def run(self, stop: Stop) -> None:
        while not stop.is_set():
            await self.run_once()
            await stop.wait(POLL_SECONDS)

    async def run_once(self) -> None:
        now = self._clock()
        due = await self._confirmations.due(now, BATCH)
        await asyncio.gather(*(self._confirm(item) for item in due))
        await self._confirmations.abandon(now - SENDER_GONE_AFTER, now)

    async def _confirm(self, item: Confirmation) -> None:
        now, rules = self._clock(), self._policy.for_tenant(item.tenant_id)
        if not rules.confirm_stop:
            return await self._confirmations.give_up(item.reference, "confirm_stop_off", now)
        if now - item.said_at > WINDOW:
            return await self._confirmations.give_up(item.reference, "window_closed", now)
        line = self._lines.get(rules.sender)
        if line is None:
            return await self._confirmations.give_up(item.reference, "no_free_text", now)
        bill = self._rates.bill(item.phone, rules.billing_currency, local_date(now, item.time_zone), SERVICE)
        if not await self._confirmations.claim(item, bill, line.pace, now):
            return None
        language = rules.language_of(item.contact_id, item.contact_name)
        outcome: Outcome = Rejected("claim_too_old", CLAIM_TOO_OLD)
        if self._clock() - now <= CHECKED_WITHIN:
            outcome = await line.provider.send_text(TextMessage(item.phone, stop_text(language)), item.reference)
        self._attempted(item.reference, outcome)
        done_at = self._clock()
        return await self._confirmations.settle(
            item.reference, outcome, done_at, next_try(outcome, item.tries, done_at)
        )


def next_try(outcome: Outcome, tries: int, now: datetime) -> datetime | None:
    """When to try again what was certainly not sent for no fault of its own; None: never."""
    if not isinstance(outcome, Rejected):
        return None
    handling = outcome.handling
    if handling.error_class is ErrorClass.ACCOUNT and handling.breaker is not None:
        return now + handling.breaker.probe_after
    if handling.error_class is ErrorClass.RETRY and tries < TRIES:
        return now + retry_after(tries + 1)
    return None
