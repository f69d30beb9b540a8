"""Virtual hosts that one scene after another uses, since making and declaring one takes longer than a scene needs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

from shared.topology.declare import declare
from support.infra import Infra, fresh_vhost, service_urls


@dataclass(frozen=True)
class Host:
    """A virtual host with Duebell's topology: the administrator's AMQP URL, and each service's."""

    url: str
    users: dict[str, str]


@dataclass
class Stage:
    infra: Infra
    cleanup: ExitStack
    _free: list[Host] = field(default_factory=list)

    @asynccontextmanager
    async def host(self) -> AsyncIterator[Host]:
        """For one scene alone at a time. What an earlier one left in a queue names tenants that this one has not."""
        host = self._free.pop() if self._free else await self._new()
        try:
            yield host
        finally:
            self._free.append(host)

    async def _new(self) -> Host:
        url = self.cleanup.enter_context(fresh_vhost(self.infra))
        await declare(url)
        return Host(url, await asyncio.to_thread(service_urls, self.infra, url))
