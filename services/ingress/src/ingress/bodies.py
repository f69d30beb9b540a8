"""Reading a request's body as it came, within a bound of size and time."""

import asyncio

from starlette.requests import Request

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Meta sends up to 3 MB; a Xero event is about 400 bytes."""
READ_SECONDS = 4.0


class BodyTooLarge(Exception):  # noqa: N818 - says what is wrong
    """The body is larger than anything its sender documents."""


async def read_body(request: Request, most: int = MAX_BODY_BYTES) -> bytes:
    """The raw bytes, ``most`` of them.

    Raises BodyTooLarge before more than the bound is held in memory, TimeoutError when the client is too slow.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise BodyTooLarge
    body = bytearray()
    async with asyncio.timeout(READ_SECONDS):
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise BodyTooLarge
    return bytes(body)
