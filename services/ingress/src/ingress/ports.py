"""What ingress needs from outside."""

from typing import Protocol

from shared.contracts import Event
from shared.topology.lanes import Lane


class Outbox(Protocol):
    """Where accepted pieces go; each call returns only once RabbitMQ has confirmed."""

    async def publish(self, event: Event, lane: Lane) -> None: ...

    async def keep(self, body: bytes, *, source: str, reason: str) -> None:
        """Keep a piece that nobody can read, as a dead letter."""
