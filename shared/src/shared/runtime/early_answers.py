"""Answers to requests that were not read to their end: the connection ends, and its client hears that first."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGERS = 1.0
"""Seconds. What nobody reads makes the system reset the connection as soon as it is closed, and the answer with it."""


class EarlyAnswers:
    """Whose body was refused unread may not use the connection again: the rest of that body is still on it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        unread = scope["type"] == "http" and _has_body(scope)
        early = False

        async def noted() -> Message:
            nonlocal unread
            message = await receive()
            unread = bool(message.get("more_body"))
            return message

        async def told(message: Message) -> None:
            nonlocal early
            if message["type"] == "http.response.start" and unread:
                early = True
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            elif early and not message.get("more_body"):
                await send({**message, "more_body": True})
                await asyncio.sleep(LINGERS)
                message = {"type": "http.response.body"}
            await send(message)

        await self._app(scope, noted, told)


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
        for name, value in scope["headers"]
    )
