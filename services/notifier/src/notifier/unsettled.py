"""Messages whose end nobody knows: how many and how old, and the one more time that a first alert may be sent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from notifier.model import Decision, Intent, Snapshot, Verdict
from notifier.still_wanted import why_expired
from notifier.telemetry import UnsettledLog
from shared.contracts.messages import MessageKind
from shared.policy import Policy, TenantPolicy
from shared.runtime.service import Stop

PATIENCE = timedelta(minutes=30)
"""How long a message's first status may take; later is overdue."""
LOOK_EVERY_SECONDS = 15.0
RULE = "resent_unsettled"


@dataclass(frozen=True, slots=True)
class Unsettled:
    """``messages`` are unknown now, the oldest since ``oldest_at``; ``doubled`` ones arrived more than once, ever."""

    messages: int
    oldest_at: datetime | None
    doubled: int


@dataclass(frozen=True, slots=True)
class Heard:
    """An attempt of the same sending number: begun, and told of by a status for the first time."""

    started_at: datetime
    heard_at: datetime


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A message that is unknown, and what its sending number's statuses tell of the time since it was posted.

    ``later`` are attempts that began after it. ``silent`` counts those within ``PATIENCE`` of it, before or after, that
    WhatsApp took and never told of.
    """

    intent: Intent
    snapshot: Snapshot
    started_at: datetime
    resent: bool
    later: Sequence[Heard]
    silent: int


class UnsettledBook(Protocol):
    async def unsettled(self) -> Unsettled: ...

    async def unanswered(self, started_before: datetime, wanted: Callable[[str], bool]) -> Sequence[Unanswered]:
        """First alerts of wanted organisations that are unknown and were never sent again, the oldest first."""

    async def send_again(self, intent: Intent, decision: Decision, now: datetime) -> bool:
        """Plan it once more and record why; False when it is settled by now, or was sent again ever before."""


def webhooks_are_alive(message: Unanswered) -> bool:
    """Whether the message's own status would have come, had WhatsApp taken it.

    A later attempt was heard of when the message's status was overdue, and soon: what was lost in an outage of the
    webhooks and is still to be delivered again looks otherwise. So does a neighbour that was taken and never heard of.
    """
    overdue_at = message.started_at + PATIENCE
    heard = any(
        item.started_at > message.started_at
        and item.heard_at >= overdue_at
        and item.heard_at - item.started_at <= PATIENCE
        for item in message.later
    )
    return heard and message.silent == 0


def may_be_resent(message: Unanswered, rules: TenantPolicy, now: datetime) -> bool:
    """A first alert, once ever, by proof, and while there is time; a reminder waits for its next stage instead."""
    intent = message.intent
    return (
        rules.resend_unsettled_alerts
        and intent.kind is MessageKind.ISSUED
        and not message.resent
        and now - message.started_at >= PATIENCE
        and why_expired(intent, message.snapshot, rules, now) is None
        and webhooks_are_alive(message)
    )


class WatchUnsettled:
    """Any number may run at once: the ledger lets one of them plan a message again."""

    def __init__(
        self,
        book: UnsettledBook,
        policy: Policy,
        *,
        clock: Callable[[], datetime],
        wake: Callable[[], None],
        log: UnsettledLog,
    ) -> None:
        self._book = book
        self._policy = policy
        self._clock = clock
        self._wake = wake
        self._log = log

    async def run(self, stop: Stop) -> None:
        while not await stop.wait(LOOK_EVERY_SECONDS):
            await self.look()

    async def look(self) -> int:
        """Returns how many are to be sent once more."""
        now = self._clock()
        standing = await self._book.unsettled()
        age = now - standing.oldest_at if standing.oldest_at else timedelta(0)
        self._log.standing(standing.messages, age, standing.doubled)
        resent = 0
        # Nobody is asked about who does not allow it: as shipped, this is not looked for at all.
        if any(rules.resend_unsettled_alerts for rules in (self._policy.defaults, *self._policy.tenants.values())):
            for message in await self._book.unanswered(now - PATIENCE, self._is_wanted):
                resent += await self._send_again(message, now)
        if resent:
            self._wake()
        return resent

    def _is_wanted(self, tenant_id: str) -> bool:
        return self._policy.for_tenant(tenant_id).resend_unsettled_alerts

    async def _send_again(self, message: Unanswered, now: datetime) -> bool:
        intent = message.intent
        if not may_be_resent(message, self._policy.for_tenant(intent.tenant_id), now):
            return False
        decision = Decision(intent.kind, intent.stage, Verdict.PLAN, RULE, now)
        if not await self._book.send_again(intent, decision, now):
            return False
        self._log.resent(intent.intent_id, intent.tenant_id)
        return True
