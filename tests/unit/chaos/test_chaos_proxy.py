"""A link through the proxy is as it was, until it is broken, and each toxic breaks it in its own way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from chaos.proxy import HOST, Link, Toxic


@asynccontextmanager
async def echo() -> AsyncIterator[Link]:
    """A link to a server that answers every line with itself."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    link = await Link("a>b", server.sockets[0].getsockname()[1], Random(1)).start()
    try:
        yield link
    finally:
        await link.stop()
        server.close()
        await server.wait_closed()


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def of(cls, link: Link) -> "Caller":
        return cls(*await asyncio.open_connection(HOST, link.port))

    async def says(self, text: str) -> str:
        """What comes back; empty when the connection ends."""
        self._writer.write(f"{text}\n".encode())
        async with asyncio.timeout(5):
            return (await self._reader.readline()).decode().strip()

    async def hears_nothing(self, text: str) -> bool:
        self._writer.write(f"{text}\n".encode())
        try:
            async with asyncio.timeout(0.2):
                await self._reader.readline()
        except TimeoutError:
            return True
        return False

    async def hears(self) -> str:
        async with asyncio.timeout(5):
            return (await self._reader.readline()).decode().strip()

    def close(self) -> None:
        self._writer.close()


async def test_what_is_not_broken_passes_both_ways() -> None:
    async with echo() as link:
        caller = await Caller.of(link)
        assert [await caller.says("one"), await caller.says("two")] == ["one", "two"]
        assert link.struck == 0
        caller.close()


async def test_a_black_hole_holds_everything_back_until_it_ends() -> None:
    async with echo() as link:
        caller = await Caller.of(link)
        link.poison(Toxic.BLACK_HOLE)
        assert await caller.hears_nothing("one")
        link.poison(Toxic.NONE)
        assert await caller.hears() == "one"
        caller.close()


async def test_a_reset_ends_what_is_open_and_what_comes_anew() -> None:
    async with echo() as link:
        caller = await Caller.of(link)
        await caller.says("one")
        link.poison(Toxic.RESET)
        with pytest.raises(ConnectionError):
            await caller.says("two")
        caller.close()
        other = await Caller.of(link)
        with pytest.raises(ConnectionError):
            await other.says("three")
        other.close()
        link.poison(Toxic.NONE)
        third = await Caller.of(link)
        assert await third.says("four") == "four"
        third.close()


async def test_lost_answers_never_come_and_the_connection_is_of_no_use_afterwards() -> None:
    async with echo() as link:
        caller = await Caller.of(link)
        await caller.says("one")
        link.poison(Toxic.ANSWERS_LOST)
        assert await caller.hears_nothing("two")
        link.poison(Toxic.NONE)
        with pytest.raises(ConnectionError):
            await caller.hears()
        caller.close()


async def test_a_cut_comes_after_some_bytes_of_the_answers() -> None:
    async with echo() as link:
        link.poison(Toxic.CUT)
        caller = await Caller.of(link)

        async def talk() -> None:
            for _ in range(100):
                assert await caller.says("x" * 200)

        with pytest.raises((ConnectionError, AssertionError)):
            await talk()
        assert link.struck == 1
        caller.close()
