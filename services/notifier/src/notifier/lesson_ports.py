"""What learning from the provider's webhooks needs of the world: news as values and a ledger that takes them in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from notifier.provider_errors import META, reason_of
from notifier.rates import Pricing
from shared.contracts.messages import MessageChangedV1, MessageState


@dataclass(frozen=True, slots=True)
class StatusNews:
    """What the provider says became of a message, found by our reference or else by the provider's id.

    ``error_code`` is the provider's when it failed and ``details`` all that it says of why, ``whatsapp_phone`` the
    recipient's number as the provider knows it.
    """

    reference: str | None
    provider_message_id: str
    state: MessageState
    error_code: int | None = None
    person_user_id: str | None = None
    whatsapp_phone: str | None = None
    details: str | None = None
    pricing: Pricing | None = None
    provider: str = META

    @property
    def reason(self) -> str | None:
        return None if self.state is not MessageState.FAILED else reason_of(self.error_code, self.provider)

    @property
    def as_marketing(self) -> bool:
        """Whether the message is billed as marketing, which all of our templates are not."""
        return self.pricing is not None and (self.pricing.category or "").startswith("marketing")


@dataclass(frozen=True, slots=True)
class Wish:
    """A person wants no messages, or wants them again. Any of the three may tell who it is."""

    phone: str | None
    user_id: str | None
    reply_to: str | None
    opted_out: bool
    said_at: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """A person wrote something else. Any of the three may tell who it is; what was written is kept nowhere."""

    phone: str | None
    user_id: str | None
    reply_to: str | None
    said_at: datetime


class Lessons(Protocol):
    """What is learnt from the provider's webhooks; the same twice, or in any order, ends the same."""

    async def status(self, news: StatusNews, now: datetime) -> Sequence[MessageChangedV1]:
        """Move the message forward; what a breaker stopped is planned again, no try burnt."""

    async def wish(self, wish: Wish, now: datetime) -> Sequence[MessageChangedV1]:
        """Remember it, cancel what waits, and plan the one confirmation of a STOP that is new."""

    async def reply(self, reply: Reply) -> None:
        """Remember when the person last answered the organisation that wrote."""
