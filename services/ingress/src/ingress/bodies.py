"""Reading a request's body as it came, within a bound of size and time for each, and of memory for all."""

import asyncio
from contextlib import suppress

from starlette.requests import Request

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Meta sends up to 3 MB; a Xero event is about 400 bytes."""
READ_SECONDS = 4.0
SMALL_BYTES = 64 * 1024
LARGE_BYTES = 32 * 1024 * 1024
"""Of all large bodies together. One that is honest is whole in a moment, and gives its part back."""
LATE_AFTER = 1.0
"""Who has been read for so long may be ended when others need the room."""


class BodyTooLarge(Exception):  # noqa: N818 - says what is wrong
    """The body is larger than anything its sender documents."""


class _Part:
    """What one body holds of the room."""

    def __init__(self, deadline: asyncio.Timeout) -> None:
        self.held = 0
        self.since = asyncio.get_running_loop().time()
        self._deadline = deadline

    def end(self) -> None:
        self._deadline.reschedule(asyncio.get_running_loop().time())


class BodyRoom:
    """What large bodies may hold in memory together; small ones are not counted.

    Only bytes that have come take room, so that nobody takes it by a promise. Nobody may fill the memory before its
    signature is known, and that is known only when its body is whole: when there is no room, who has been read the
    longest is ended, and the others wait meanwhile.
    """

    def __init__(self, most: int = LARGE_BYTES) -> None:
        self._left = most
        self._parts: dict[_Part, None] = {}
        self._freed = asyncio.Event()

    async def take(self, part: _Part, size: int) -> None:
        """Return when there is room for so many bytes more."""
        self._parts.setdefault(part)
        while size > self._left:
            self._freed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._end_the_longest(part)):
                    await self._freed.wait()
        self._left -= size
        part.held += size

    def give_back(self, part: _Part) -> None:
        self._parts.pop(part, None)
        self._left += part.held
        part.held = 0
        self._freed.set()

    def _end_the_longest(self, but: _Part) -> float | None:
        """Seconds until the next one can be ended; None when somebody who goes anyway has to be waited for."""
        longest = next((part for part in self._parts if part is not but), None)
        if longest is None:
            return None
        late_in = longest.since + LATE_AFTER - asyncio.get_running_loop().time()
        if late_in > 0:
            return late_in
        del self._parts[longest]
        longest.end()
        return LATE_AFTER


async def read_body(request: Request, room: BodyRoom, most: int = MAX_BODY_BYTES) -> bytes:
    """The raw bytes, ``most`` of them.

    Raises BodyTooLarge before more than the bound is held in memory, and TimeoutError when the client is too slow, or
    others needed its room.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise BodyTooLarge
    body = bytearray()
    async with asyncio.timeout(READ_SECONDS) as deadline:
        part = _Part(deadline)
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise BodyTooLarge
                if len(body) > SMALL_BYTES:
                    await room.take(part, len(body) - part.held)
        finally:
            room.give_back(part)
    return bytes(body)
