"""What a provider is: whoever takes a sender's messages to WhatsApp.

Its webhooks come in at ingress, as a reader beside ``ingress.whatsapp`` and ``ingress.twilio``; its error codes are a
table in :mod:`notifier.provider_errors`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from notifier.ports import SendsMessages


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do besides sending. ``look_up``: it tells which messages it took for a number.

    ``account_templates``: it lists the business account's templates, so that each is known before it is used.
    """

    look_up: bool = False
    account_templates: bool = False


@dataclass(frozen=True, slots=True)
class Sought:
    """A message that may have been taken: to whom (E.164 with ``+``), when, and what stands in its text."""

    to: str
    since: datetime
    until: datetime
    says: str


class Provider(SendsMessages, Protocol):
    """Sends once and answers accepted, rejected or unknown; never raises, never retries."""

    @property
    def capabilities(self) -> Capabilities: ...

    async def look_up(self, sought: Sought) -> Sequence[str]:
        """The provider's ids of the messages that fit. None of them proves nothing, nor does a question unanswered."""
