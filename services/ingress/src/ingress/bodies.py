"""Reading a request's body as it came, within a bound of size and time for each, and of memory for all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.requests import Request

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Meta sends up to 3 MB; a Xero event is about 400 bytes."""
READ_SECONDS = 4.0
SMALL_BYTES = 64 * 1024
LARGE_AT_ONCE = 4
LARGE_WAITING = 32


class BodyTooLarge(Exception):  # noqa: N818 - says what is wrong
    """The body is larger than anything its sender documents."""


class NoRoom(Exception):  # noqa: N818 - says what is wrong
    """Too many large bodies are waiting to be read already."""


class BodyRoom:
    """A few large bodies are read at once and some wait for their turn, in order; small ones never wait.

    Nobody may fill the memory before its signature is known, and that is known only when its body is whole.
    """

    def __init__(self, at_once: int = LARGE_AT_ONCE, waiting: int = LARGE_WAITING) -> None:
        self._turn = asyncio.Semaphore(at_once)
        self._left = at_once + waiting

    @asynccontextmanager
    async def for_one(self) -> AsyncIterator[None]:
        """Room for a large body; raises NoRoom when too many wait."""
        if not self._left:
            raise NoRoom
        self._left -= 1
        try:
            async with self._turn:
                yield
        finally:
            self._left += 1


async def read_body(request: Request, room: BodyRoom, most: int = MAX_BODY_BYTES) -> bytes:
    """The raw bytes, ``most`` of them.

    Raises BodyTooLarge before more than the bound is held in memory, NoRoom when the door has its hands full, and
    TimeoutError when the client is too slow, or its turn does not come in time.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise BodyTooLarge
    body = bytearray()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(READ_SECONDS))
        is_large = False
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise BodyTooLarge
            if len(body) > SMALL_BYTES and not is_large:
                is_large = True
                await stack.enter_async_context(room.for_one())
    return bytes(body)
