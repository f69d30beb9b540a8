"""Asks for every scan that is due, once."""

from scheduler.due import moments_due
from scheduler.ports import Claims, ConnectionSource, TimeZones
from shared.errors import RetryableError
from shared.policy import Policy
from shared.runtime.clock import Clock
from shared.runtime.publisher import Publishes


class Tick:
    """One look at the clock for all connected tenants."""

    def __init__(
        self,
        connections: ConnectionSource,
        zones: TimeZones,
        claims: Claims,
        events: Publishes,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._connections = connections
        self._zones = zones
        self._claims = claims
        self._events = events
        self._policy = policy
        self._clock = clock

    async def __call__(self) -> int:
        """How many scans were asked for. A publish that fails gives its moment back and is raised."""
        connections = (await self._connections.connections()).connections
        asked = 0
        for moment, request in moments_due(connections, await self._zones.all(), self._policy, self._clock()):
            if not await self._claims.take(moment):
                continue
            try:
                await self._events.publish(request)
            except RetryableError:
                await self._claims.give_back(moment)
                raise
            await self._claims.done(moment)
            asked += 1
        return asked
