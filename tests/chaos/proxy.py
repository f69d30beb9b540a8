"""A small TCP proxy whose link can be broken in every way that a network breaks."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import Self

HOST = "127.0.0.1"
_CHUNK = 65536


class Toxic(Enum):
    """What is wrong with a link."""

    NONE = auto()
    BLACK_HOLE = auto()
    """Nothing passes either way, and nobody is told."""
    RESET = auto()
    """Every connection is reset, and every new one as well."""
    CUT = auto()
    """Each connection breaks off after some number of bytes of the answers."""
    SLOW = auto()
    """Each piece is late by a few tenths of a second."""
    ANSWERS_LOST = auto()
    """What is asked arrives; what is answered does not."""


@dataclass
class Link:
    """One port that leads to ``target``; ``struck`` counts the connections that a toxic has touched.

    Args:
        dice: decides after how many bytes a connection is cut and how late a piece is.
        route: the ports to try, for one connection, instead of ``target``.
    """

    name: str
    target: int
    dice: Random
    port: int = 0
    struck: int = 0
    route: Callable[[], Sequence[int]] | None = None

    def __post_init__(self) -> None:
        self.toxic = Toxic.NONE
        self._open: set[asyncio.StreamWriter] = set()
        self._moved = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def poison(self, toxic: Toxic) -> None:
        """From now on; what was held back by a black hole passes when it ends, answers that were lost never do."""
        before, self.toxic = self.toxic, toxic
        self._moved.set()
        self._moved = asyncio.Event()
        if toxic is Toxic.RESET or before is Toxic.ANSWERS_LOST:
            # Of a stream that lacks a piece nothing more can be understood.
            self.struck += toxic is Toxic.RESET and len(self._open) > 0
            self.reset()

    def reset(self) -> None:
        """Every open connection ends with RST, on both sides."""
        for writer in list(self._open):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.toxic is Toxic.RESET:
            self.struck += 1
            _reset(writer)
            return
        if (task := asyncio.current_task()) is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        # Only stopping cancels it, and asyncio's streams take a cancelled task for a broken one.
        with contextlib.suppress(asyncio.CancelledError):
            await self._carry(reader, writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._through_black_hole()
            onward_reader, onward = await self._onward()
        except OSError:
            self._open.discard(writer)
            _reset(writer)
            return
        self._open.add(onward)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, onward, answers=False))
                both.create_task(self._pump(onward_reader, writer, answers=True))
        except* OSError:
            pass
        finally:
            for each in (writer, onward):
                self._open.discard(each)
                with contextlib.suppress(OSError):
                    each.transport.abort()

    async def _onward(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for port in [self.target] if self.route is None else self.route():
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(HOST, port)
        raise ConnectionRefusedError

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        left: int | None = None
        while data := await source.read(_CHUNK):
            await self._through_black_hole()
            if self.toxic is Toxic.SLOW:
                self.struck += 1
                await asyncio.sleep(self.dice.uniform(0.05, 0.4))
            elif self.toxic is Toxic.ANSWERS_LOST and answers:
                self.struck += 1
                continue
            elif self.toxic is Toxic.CUT and answers:
                left = (self.dice.randrange(1, 4000) if left is None else left) - len(data)
                if left <= 0:
                    self.struck += 1
                    sink.write(data[:left] if left else data)
                    raise ConnectionResetError
            sink.write(data)
            await sink.drain()
        await self._through_black_hole()
        # One side has said all it has to say; the other may still answer.
        with contextlib.suppress(OSError):
            sink.write_eof()

    async def _through_black_hole(self) -> None:
        if self.toxic is Toxic.BLACK_HOLE:
            self.struck += 1
        while self.toxic is Toxic.BLACK_HOLE:
            await self._moved.wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
