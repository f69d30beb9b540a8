"""Where ingress's accepted pieces go in a test."""

from shared.contracts import Event
from shared.topology.lanes import Lane


class FakeOutbox:
    """See :class:`ingress.ports.Outbox`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.lanes: list[Lane] = []
        self.kept: list[tuple[bytes, str]] = []
        self.failure: BaseException | None = None

    async def publish(self, event: Event, lane: Lane) -> None:
        if self.failure:
            raise self.failure
        self.events.append(event)
        self.lanes.append(lane)

    async def keep(self, body: bytes, *, source: str, reason: str) -> None:
        if self.failure:
            raise self.failure
        self.kept.append((body, reason))
