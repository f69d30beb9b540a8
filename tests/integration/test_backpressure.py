"""A broker that reads no more, as in a memory alarm: publishing fails in time, and hoards nothing while that lasts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import aiormq
import pytest

from shared.errors import PublishFailed
from shared.runtime.connection import open_connection
from shared.runtime.publisher import Outgoing, open_publisher
from shared.topology import exchanges, queues

pytestmark = pytest.mark.integration

COUNT = 2000
BODY = b"x" * 20_000


class Valve:
    """Between a client and the broker: while it is shut, nothing of the client's is read."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._pouring: asyncio.TaskGroup | None = None
        self.open = asyncio.Event()
        self.open.set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """The port; all that came through it is closed at the end."""
        async with asyncio.TaskGroup() as self._pouring:
            server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
            try:
                yield server.sockets[0].getsockname()[1]
            finally:
                self.open.set()
                server.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._pouring is not None
        from_broker, to_broker = await asyncio.open_connection(*self._to)
        self._pouring.create_task(_pour(reader, to_broker, self.open))
        self._pouring.create_task(_pour(from_broker, writer))


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter, when: asyncio.Event | None = None) -> None:
    """Until either end is closed; then the other is, too."""
    with suppress(ConnectionError):
        while data := await source.read(65536):
            if when:
                await when.wait()
            target.write(data)
            await target.drain()
    target.close()
    with suppress(ConnectionError):
        await target.wait_closed()


async def test_what_a_silent_broker_does_not_take_is_given_up_not_hoarded(amqp_url: str) -> None:
    url = urlsplit(amqp_url)
    valve = Valve(url.hostname or "", url.port or 0)
    async with valve.listening() as port:
        through = urlunsplit(url._replace(netloc=f"{url.username}:{url.password}@127.0.0.1:{port}"))
        async with open_connection(through, "test") as connection, open_publisher(connection, "test") as events:
            outgoing = Outgoing(BODY, exchanges.EVENTS, queues.FETCHER_SCAN_REQUESTED.key)
            await events.send(outgoing)
            channel = await events._channel.get_underlay_channel()
            assert isinstance(channel, aiormq.Channel)
            valve.open.clear()
            kept = []
            try:
                for _ in range(3):
                    sending = (events.send(outgoing, deadline=1) for _ in range(COUNT))
                    sent = await asyncio.gather(*sending, return_exceptions=True)
                    assert {type(error) for error in sent} == {PublishFailed}
                    kept.append(len(channel.confirmations))
            finally:
                valve.open.set()
            # What was begun at one moment is on its way; later publishes wait for the socket and give up unsent.
            assert kept[-1] - kept[0] < COUNT / 20, kept
            await events.send(outgoing, deadline=20)
