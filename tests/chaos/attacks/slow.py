"""Connections that are there and do nothing, or next to nothing, for as long as they are let."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from chaos.attacks.senders import Sender
from chaos.attacks.target import Due, Target
from chaos.attacks.wire import Answer, Wire, request

_DRIP = 0.7
"""Seconds from one byte to the next."""
_AGAIN = (0.1, 0.5)
"""Seconds until somebody who was thrown out comes again."""
_COMING = 2.0
"""Seconds until all have come."""
_UNREAD = 4000
"""Requests on a connection whose answers nobody reads."""


async def silent(wire: Wire, sender: Sender, end: float) -> None:
    """Not a word."""
    await wire.closed(_left(end))


async def slow_head(wire: Wire, sender: Sender, end: float) -> None:
    """A header a byte at a time."""
    await wire.send(f"POST {sender.path} HTTP/1.1\r\nhost: door\r\nx: ".encode())
    await _drip(wire, b"a", end)


async def slow_body(wire: Wire, sender: Sender, end: float) -> None:
    """A body a byte at a time."""
    await wire.send(request("POST", sender.path, sender.signed(b"-"), b"", length=False)[:-2])
    await wire.send(b"content-length: 1000\r\n\r\n")
    await _drip(wire, b"x", end)


async def slow_chunks(wire: Wire, sender: Sender, end: float) -> None:
    """Chunk after chunk, none of them the last one; on a route that nobody has."""
    await wire.send(b"POST /nowhere HTTP/1.1\r\nhost: door\r\ntransfer-encoding: chunked\r\n\r\n")
    await _drip(wire, b"1\r\nx\r\n", end)


async def nearly_whole(wire: Wire, sender: Sender, end: float) -> None:
    """All of a body of 100 KB but its last byte."""
    await wire.send(request("POST", sender.path, sender.signed(b"-"), b"x" * 100_000)[:-1])
    await wire.closed(_left(end))


async def slow_read(wire: Wire, sender: Sender, end: float) -> None:
    """Thousands of questions, and no answer is read."""
    question = b"GET /metrics HTTP/1.1\r\nhost: door\r\n\r\n"
    with suppress(TimeoutError):
        async with asyncio.timeout(_left(end)):
            for _ in range(_UNREAD // 100):
                await wire.send(question * 100)
            # The door's end of the connection is seen by the next byte that it no longer takes.
            while True:
                await asyncio.sleep(_DRIP)
                await wire.send(b"\r\n")


Way = Callable[[Wire, Sender, float], Awaitable[None]]
WAYS: Mapping[str, Way] = {
    "silent": silent,
    "a head byte by byte": slow_head,
    "a body byte by byte": slow_body,
    "chunks for ever": slow_chunks,
    "all but the last byte": nearly_whole,
    "answers unread": slow_read,
}
_READERS = 20
"""At most so many who read nothing: what each asks for has to be written first."""


async def slow(target: Target) -> None:
    """``count`` connections all the time for ``seconds``: who is thrown out comes again."""
    end = asyncio.get_running_loop().time() + target.seconds
    ways = list(WAYS)
    async with asyncio.TaskGroup() as group:
        for number in range(target.count):
            way = ways[number % len(ways)]
            if way == "answers unread" and number // len(ways) >= _READERS:
                way = "silent"
            group.create_task(_stay(target, way, end))


async def _stay(target: Target, way: str, end: float) -> None:
    await asyncio.sleep(target.dice.uniform(0, min(_COMING, _left(end) / 2)))
    while _left(end) > 0:
        sender, _ = target.two()
        with suppress(OSError, TimeoutError):
            async with Wire(target.port, window=4096 if way == "answers unread" else 0) as wire:
                try:
                    await WAYS[way](wire, sender, end)
                finally:
                    target.tell(way, Due.NO, Answer(wire.status, held=_left(end) <= 0))
        await asyncio.sleep(target.dice.uniform(*_AGAIN))


async def _drip(wire: Wire, piece: bytes, end: float) -> None:
    while _left(end) > 0:
        await wire.send(piece)
        if await wire.closed(min(_DRIP, max(_left(end), 0.01))):
            return


def _left(end: float) -> float:
    return end - asyncio.get_running_loop().time()
