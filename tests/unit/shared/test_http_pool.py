"""A request that finds no free connection gives up early, before anything is sent."""

import asyncio

import httpx
import pytest

from shared.runtime.http import create_http_client


async def test_who_finds_no_connection_does_not_wait_for_long() -> None:
    arrived, leave = asyncio.Event(), asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await leave.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, create_http_client(url, timeout_seconds=60, max_connections=1, pool_seconds=0.05) as http:
        first = asyncio.create_task(http.get("/"))
        await arrived.wait()
        with pytest.raises(httpx.PoolTimeout):
            await http.get("/")
        leave.set()
        with pytest.raises(httpx.RemoteProtocolError):
            await first
