"""A server that resets each connection as soon as it stands: the client says so by an error that callers expect."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvloop

from shared.runtime.http import create_http_client

ROUNDS, AT_ONCE = 10, 16


@pytest.fixture
def resetting() -> Iterator[int]:
    """Its port. In a thread of its own, so that it may be quicker than the client's loop."""
    server = socket.create_server(("127.0.0.1", 0), backlog=128)

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(timeout=10)


def test_a_connection_that_is_reset_at_once_is_a_broken_one(resetting: int) -> None:
    uvloop.run(_all_break(resetting))


async def _all_break(port: int) -> None:
    async with create_http_client(f"http://127.0.0.1:{port}", timeout_seconds=5) as client:
        for _ in range(ROUNDS):
            ends = await asyncio.gather(
                *(client.post("/", content=b"x") for _ in range(AT_ONCE)), return_exceptions=True
            )
            assert [end for end in ends if not isinstance(end, httpx.TransportError)] == []
