"""What telling on what changed needs of the world: an outbox that keeps it, and a publisher that names it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.contracts.base import Event
from shared.contracts.messages import MessageChangedV1


@dataclass(frozen=True, slots=True)
class Untold:
    """A change that is committed and not told yet. ``event_id`` stays the same however often it is told."""

    event_id: str
    change: MessageChangedV1
    correlation_id: str | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many changes wait to be told, and when the oldest happened."""

    changes: int = 0
    oldest_at: datetime | None = None


class Outbox(Protocol):
    """What was committed and must be told: any number of replicas read it, one at a time tells."""

    async def is_empty(self) -> bool: ...

    async def take(self, holder: str, now: datetime, told: Sequence[str], limit: int) -> Sequence[Untold]:
        """Forget those ``told`` and return the next ones, oldest first, which are ``holder``'s to tell for a while.

        Empty when nothing is left, which ends the holder's turn, or while it is another's.
        """

    async def give_back(self, holder: str, told: Sequence[str]) -> None:
        """Forget those ``told``; the rest is anybody's to tell."""

    async def backlog(self) -> Backlog: ...


class Tells(Protocol):
    async def publish(self, event: Event, *, deadline: float | None = None, message_id: str | None = None) -> None:
        """Return once RabbitMQ has confirmed the event under this id. Raises PublishFailed after ``deadline``."""
