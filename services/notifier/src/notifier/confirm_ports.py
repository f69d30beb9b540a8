"""What confirming a STOP needs of the world: a book of confirmations, and a provider that sends free text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from notifier.ports import Outcome, Pace
from notifier.rates import Bill


@dataclass(frozen=True, slots=True)
class TextMessage:
    """Free text, which WhatsApp takes for a day after the person last wrote. ``to`` is E.164 with ``+``."""

    to: str
    text: str


class SendsTexts(Protocol):
    async def send_text(self, message: TextMessage, attempt_ref: str) -> Outcome:
        """As :meth:`notifier.ports.SendsMessages.send`: once, within a deadline, and it never raises."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """An answer that is due. Names and zone are those of the organisation and the contact written to last."""

    reference: str
    phone: str
    tenant_id: str
    contact_id: str
    contact_name: str
    time_zone: str
    said_at: datetime
    tries: int


class Confirmations(Protocol):
    """The answers to STOP; each is sent by one process once, or nobody knows whether it was."""

    async def due(self, now: datetime, limit: int) -> Sequence[Confirmation]: ...

    async def claim(self, item: Confirmation, bill: Bill, pace: Pace, now: datetime) -> bool:
        """From planned to sending, committed before the socket opens; False when it waits, or was another's."""

    async def settle(self, reference: str, outcome: Outcome, now: datetime, retry_at: datetime | None) -> None: ...

    async def give_up(self, reference: str, reason: str, now: datetime) -> None: ...

    async def abandon(self, claimed_before: datetime, now: datetime) -> None:
        """Call unknown what was claimed so long ago that its sender must be gone."""
