"""Publishes what ingress accepts, soon enough that a sender hears 503 within two seconds of an outage."""

from shared.contracts import Event
from shared.runtime.clock import Clock
from shared.runtime.dead_letters import DeadLetter
from shared.runtime.publisher import EventPublisher
from shared.topology.lanes import Lane

DEADLINE_SECONDS = 1.5


class RabbitOutbox:
    """See :class:`ingress.ports.Outbox`."""

    def __init__(self, publisher: EventPublisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock

    async def publish(self, event: Event, lane: Lane) -> None:
        await self._publisher.publish(event, deadline=DEADLINE_SECONDS, lane=lane)

    async def keep(self, body: bytes, *, source: str, reason: str) -> None:
        letter = DeadLetter(
            "ingress", body, source=source, reason=reason, attempts=1, first_seen=self._clock().isoformat()
        )
        await self._publisher.send(letter.outgoing(), deadline=DEADLINE_SECONDS)
