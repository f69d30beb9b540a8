"""Asks for every scan that is due, once."""

from datetime import date, datetime

from scheduler.due import Moment, moments_due, reconcile_interval, request_of
from scheduler.memory import Memory
from scheduler.ports import Claims, ConnectionSource, Pace, Taken, TimeZones
from shared.errors import DuebellError
from shared.policy import Policy
from shared.runtime.publisher import Publishes

PUBLISH_SECONDS = 10.0
"""Well within the life of a claim, and with a tick's pause within the time in which lost claims settle."""


class Tick:
    """One look at the shared time for all connected tenants. It knows no clock of its own."""

    def __init__(
        self,
        connections: ConnectionSource,
        zones: TimeZones,
        pace: Pace,
        claims: Claims,
        events: Publishes,
        policy: Policy,
    ) -> None:
        self._connections = connections
        self._zones = zones
        self._pace = pace
        self._claims = claims
        self._events = events
        self._policy = policy
        self._memory = Memory()
        self._written_in: str | None = None
        """The claims' epoch that holds all that is remembered here."""

    async def __call__(self) -> int:
        """How many scans were asked for. A publish that fails gives its moment back and is raised."""
        sight = await self._claims.look()
        if sight.epoch != self._written_in:
            await self._zones.put_back()
            await self._claims.done(self._memory.all())
            self._written_in = sight.epoch
        if not sight.settled:
            return 0
        asked = 0
        for moment, local_date in await self._due(sight.now):
            if moment in self._memory:
                continue
            taken = await self._claims.take(moment, sight.epoch)
            if taken is Taken.UNSETTLED:
                break
            if taken is Taken.DONE:
                self._memory.add(moment)
            if taken is Taken.YES:
                await self._ask(moment, local_date)
                asked += 1
        return asked

    async def _due(self, now: datetime) -> list[tuple[Moment, date]]:
        connections = (await self._connections.connections()).connections
        zones, quickened_until = await self._zones.all(), await self._pace.quickened_until()
        every = reconcile_interval(quickened_until, now)
        return list(moments_due(connections, zones, self._policy, now, every))

    async def _ask(self, moment: Moment, local_date: date) -> None:
        request = request_of(moment.tenant_id, moment.kind, local_date, self._policy, moment.id)
        try:
            await self._events.publish(request, deadline=PUBLISH_SECONDS)
        except DuebellError:
            await self._claims.give_back(moment)
            raise
        self._memory.add(moment)
        # Should the store fail now, the next tick writes all that is remembered once more.
        epoch, self._written_in = self._written_in, None
        await self._claims.done([moment])
        self._written_in = epoch
