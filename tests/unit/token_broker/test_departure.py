"""The last moment before a refresh token leaves, on real connections: what was not sent is known not to have been."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr

from shared.runtime.http import create_http_client
from token_broker.adapters.xero_identity import XeroIdentity
from token_broker.ports import IdentitySilent, IdentityUnavailable, NotSent

TOKEN = SecretStr("refresh-token")
PAIR = b'{"access_token": "a", "refresh_token": "r", "expires_in": 1800}'


@dataclass
class Listener:
    """A server on a real socket that keeps what it received and gives one answer, or none."""

    answer: bytes | None = None
    received: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    at_work: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.at_work.add(task)
        self.connections += 1
        number = len(self.received)
        self.received.append(b"")
        while part := await reader.read(65536):
            self.received[number] += part
            if self.answer is not None and b"refresh_token=" in part:
                writer.write(self.answer)
                break
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def listening(answer: bytes | None = None) -> AsyncIterator[Listener]:
    listener = Listener(answer)
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener
        await asyncio.gather(*listener.at_work)


@asynccontextmanager
async def identity(url: str, deadline: float = 0.3) -> AsyncIterator[XeroIdentity]:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            create_http_client(url, timeout_seconds=deadline / 2, keepalive_seconds=0)
        )
        yield XeroIdentity(
            client,
            client,
            client_id="client",
            client_secret=SecretStr("secret"),
            redirect_uri="https://broker.test/callback",
            deadline_seconds=deadline,
        )


def whole(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def test_nothing_leaves_when_the_claim_has_become_too_old() -> None:
    async with listening(whole(PAIR)) as listener, identity(f"http://127.0.0.1:{listener.port}") as xero:
        with pytest.raises(NotSent):
            await xero.refresh(TOKEN, lambda: False)
        await xero.refresh(TOKEN, lambda: True)
    assert listener.connections == 2
    assert listener.received[0] == b""
    assert b"refresh_token=refresh-token" in listener.received[1]


async def test_the_question_is_asked_when_the_connection_stands() -> None:
    standing = []
    async with listening(whole(PAIR)) as listener, identity(f"http://127.0.0.1:{listener.port}") as xero:

        def may_send() -> bool:
            standing.append(listener.connections)
            return True

        await asyncio.create_task(xero.refresh(TOKEN, may_send))
    assert len(standing) == 1
    assert listener.connections == 1


async def test_a_connection_that_never_stands_is_no_unknown_end() -> None:
    async with listening() as listener, identity(f"https://127.0.0.1:{listener.port}") as xero:
        with pytest.raises(IdentityUnavailable):
            await xero.refresh(TOKEN, lambda: True)
    assert listener.connections == 1
    assert b"refresh-token" not in listener.received[0]


async def test_a_request_that_is_never_answered_is_one() -> None:
    async with listening() as listener, identity(f"http://127.0.0.1:{listener.port}") as xero:
        with pytest.raises(IdentitySilent):
            await xero.refresh(TOKEN, lambda: True)
    assert b"refresh-token" in listener.received[0]


async def test_an_answer_that_is_cut_off_is_one() -> None:
    async with listening(whole(PAIR)[:-5]) as listener, identity(f"http://127.0.0.1:{listener.port}") as xero:
        with pytest.raises(IdentitySilent):
            await xero.refresh(TOKEN, lambda: True)


async def test_no_connection_is_used_twice() -> None:
    async with listening(whole(PAIR)) as listener, identity(f"http://127.0.0.1:{listener.port}") as xero:
        for _ in range(3):
            await xero.refresh(TOKEN, lambda: True)
    assert listener.connections == 3


async def test_a_server_that_is_not_there_was_not_asked() -> None:
    async with listening() as listener:
        port = listener.port
    async with identity(f"http://127.0.0.1:{port}") as xero:
        with pytest.raises(IdentityUnavailable):
            await xero.refresh(TOKEN, lambda: True)
