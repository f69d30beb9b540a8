"""Outbound HTTP: a bounded wait for everything, and no way to any other place than the one that was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from shared.runtime.http import create_http_client
from support.waiting import eventually


@asynccontextmanager
async def server(leave: asyncio.Event, *answers: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Its address and the request lines that came; each gets the next of ``answers``, or none until ``leave``."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        if len(asked) > len(answers):
            await leave.wait()
        else:
            writer.write(answers[len(asked) - 1])
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", asked


async def test_who_finds_no_connection_does_not_wait_for_long() -> None:
    leave = asyncio.Event()
    async with (
        server(leave) as (url, asked),
        create_http_client(url, timeout_seconds=60, max_connections=1, pool_seconds=0.05) as http,
    ):
        first = asyncio.create_task(http.get("/"))
        await eventually(lambda: asked, what="the first request")
        with pytest.raises(httpx.PoolTimeout):
            await http.get("/")
        leave.set()
        with pytest.raises(httpx.RemoteProtocolError):
            await first


async def test_a_redirect_is_an_answer_and_nobody_is_followed() -> None:
    bare = b"Content-Length: 0\r\nConnection: close\r\n\r\n"
    elsewhere, welcome = b"HTTP/1.1 307 Over there\r\nLocation: /elsewhere\r\n" + bare, b"HTTP/1.1 200 OK\r\n" + bare
    async with (
        server(asyncio.Event(), elsewhere, welcome) as (url, asked),
        create_http_client(url, timeout_seconds=5) as http,
    ):
        answer = await http.post("/here", json={}, headers={"Authorization": "Bearer secret"})
    assert answer.status_code == 307
    assert asked == [b"POST /here HTTP/1.1\r\n"]


async def test_every_step_of_a_request_has_a_deadline() -> None:
    async with create_http_client("http://127.0.0.1", timeout_seconds=7) as http:
        assert http.timeout.as_dict() == {"connect": 5.0, "read": 7, "write": 7, "pool": 7}
