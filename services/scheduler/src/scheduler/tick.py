"""Asks for every scan that is due, once."""

from scheduler.due import moments_due, reconcile_interval
from scheduler.ports import Claims, ConnectionSource, Pace, TimeZones
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
        pace: Pace,
        claims: Claims,
        events: Publishes,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._connections = connections
        self._zones = zones
        self._pace = pace
        self._claims = claims
        self._events = events
        self._policy = policy
        self._clock = clock

    async def __call__(self) -> int:
        """How many scans were asked for. A publish that fails gives its moment back and is raised."""
        connections = (await self._connections.connections()).connections
        zones, quickened_until, now = await self._zones.all(), await self._pace.quickened_until(), self._clock()
        every = reconcile_interval(quickened_until, now)
        asked = 0
        for moment, request in moments_due(connections, zones, self._policy, now, every):
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
