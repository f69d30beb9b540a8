"""Tells everybody of connections made and lost; the record says what is still untold, so a crash forgets nothing."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Protocol

from shared.contracts.base import Event
from shared.contracts.connections import ConnectionEstablishedV1, ConnectionLostV1
from shared.errors import DuebellError
from token_broker.consent_ports import Announcement, Announcements
from token_broker.links import LinkSigner
from token_broker.ports import Clock, Figures

_AT_ONCE = 100
_DEADLINE_SECONDS = 2.0
_RECONNECT_LINK_LIFE = timedelta(days=14)


class Publishes(Protocol):
    async def publish(self, event: Event, *, deadline: float | None = None) -> None: ...


class Announcer:
    """Each change is told at least once; receivers compare times."""

    def __init__(
        self,
        announcements: Announcements,
        events: Publishes,
        links: LinkSigner,
        figures: Figures,
        clock: Clock,
        correlated: Callable[[str | None], AbstractContextManager[str]],
    ) -> None:
        self._announcements = announcements
        self._events = events
        self._links = links
        self._figures = figures
        self._clock = clock
        self._correlated = correlated
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self) -> None:
        """Tell what is untold; what the broker or the database does not take stays for the next call."""
        async with self._one_at_a_time:
            try:
                while due := await self._announcements.due(_AT_ONCE):
                    for announcement in due:
                        with self._correlated(announcement.correlation_id):
                            await self._events.publish(self._event(announcement), deadline=_DEADLINE_SECONDS)
                        await self._announcements.told(announcement)
            except DuebellError as error:
                self._figures.untold(error.reason)

    def _event(self, announcement: Announcement) -> Event:
        if not announcement.lost:
            return ConnectionEstablishedV1(
                tenant_id=announcement.tenant_id,
                tenant_name=announcement.tenant_name,
                connected_at=announcement.connected_at,
            )
        return ConnectionLostV1(
            tenant_id=announcement.tenant_id,
            tenant_name=announcement.tenant_name,
            reason=announcement.reason,
            reconnect_url=self._links.new(self._clock(), _RECONNECT_LINK_LIFE),
            lost_at=announcement.changed_at,
        )
