"""One POST, never repeated: an answer, or whether it can be known that nothing was sent."""

import asyncio
import time
from collections.abc import Callable

import httpx

from notifier.halts import CONNECT_SECONDS
from notifier.ports import Rejected, Unknown
from notifier.whatsapp_errors import Handling

_WRITING = "send_request_headers.started"


class _TooLateToStart(Exception):  # noqa: N818 - no error: the message is only not written any more
    """Making the connection took so long that what the claim was told may not hold any more."""


_NEVER_REACHED = (
    _TooLateToStart,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)


async def post_once(
    client: httpx.AsyncClient,
    request: httpx.Request,
    *,
    not_reached: Handling,
    deadline_seconds: float,
    connect_seconds: float = CONNECT_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
    word: str = "",
) -> httpx.Response | Rejected | Unknown:
    """Rejected where no byte of the request was written, Unknown where one may have been and no answer came.

    ``connect_seconds``: a request that has not begun to be written by then never is. ``word`` begins the reason of a
    rejection.
    """
    start_by = monotonic() + connect_seconds
    connecting = writing = False

    async def watch(event: str, _: object) -> None:
        nonlocal connecting, writing
        if event.endswith(_WRITING):
            if monotonic() > start_by:
                raise _TooLateToStart
            writing = True
        connecting = connecting or event.startswith("connection.")

    request.extensions["trace"] = watch
    try:
        async with asyncio.timeout(deadline_seconds):
            return await client.send(request)
    except _NEVER_REACHED as error:
        return Rejected(f"{word}not_reached_{type(error).__name__.lstrip('_')}", not_reached)
    except (httpx.HTTPError, TimeoutError) as error:
        if connecting and not writing:
            return Rejected(f"{word}not_reached_{type(error).__name__}", not_reached)
        return Unknown(f"no_answer_{type(error).__name__}")
