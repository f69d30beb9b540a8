"""What stands in front of several nodes: a connection goes to the next one that speaks AMQP."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from chaos.proxy import HOST

_LOOK_EVERY = 1.0
_LOOK_SECONDS = 2.0
_GREETING = b"AMQP\x00\x00\x09\x01"


class Balancer:
    """Knows the nodes by their ports; one that no longer answers gets no new connection, and keeps those it has."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = tuple(ports)
        self._turn = 0
        self._watching: asyncio.Task[None] | None = None
        self.alive = frozenset(ports)

    async def start(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def route(self) -> Sequence[int]:
        """Where to try to connect to, in this order; nowhere when no node answers."""
        self._turn += 1
        first = self._turn % len(self._ports)
        return [port for port in (*self._ports[first:], *self._ports[:first]) if port in self.alive]

    async def _watch(self) -> None:
        """Ask every node again and again, until cancelled."""
        while True:
            answers = await asyncio.gather(*map(_answers, self._ports))
            self.alive = frozenset(port for port, answer in zip(self._ports, answers, strict=True) if answer)
            await asyncio.sleep(_LOOK_EVERY)


async def _answers(port: int) -> bool:
    """An open port alone says little: the kernel takes connections for a process that is held still."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(_GREETING)
            return await reader.read(1) == b"\x01"
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            with suppress(OSError):
                writer.transport.abort()
