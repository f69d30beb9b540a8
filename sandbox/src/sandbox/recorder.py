"""Writes every request to either double into the journal before its answer leaves."""

import re
import time
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

KINDS = [
    (re.compile(r"/identity/connect/authorize$"), "xero.authorize"),
    (re.compile(r"/identity/connect/consent$"), "xero.consent"),
    (re.compile(r"/connect/token$"), "xero.token"),
    (re.compile(r"/connect/revocation$"), "xero.revocation"),
    (re.compile(r"/[Cc]onnections(/|$)"), "xero.connections"),
    (re.compile(r"/api\.xro/"), "xero.api"),
    (re.compile(r"/2010-04-01/Accounts/[^/]+/Messages(/[^/]+)?\.json$"), "twilio.message"),
    (re.compile(r"/v[0-9.]+/[^/]+/messages$"), "whatsapp.message"),
    (re.compile(r"/v[0-9.]+/[^/]+/media$"), "whatsapp.media"),
    (re.compile(r"/v[0-9.]+/[^/]+/message_templates$"), "whatsapp.templates"),
    (re.compile(r"/v[0-9.]+/[^/]+$"), "whatsapp.object"),
]


def kind_of(path: str) -> str | None:
    """The journal kind of a request, or None for the sandbox's own pages."""
    return next((kind for pattern, kind in KINDS if pattern.match(path)), None)


class Recorder:
    """The outermost layer: one journal entry a request, written when its answer begins or is lost."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and write down how it was answered."""
        kind = kind_of(scope["path"]) if scope["type"] == "http" else None
        if kind is None:
            await self.app(scope, receive, send)
            return
        scope["sandbox.kind"] = kind
        notes: dict[str, Any] = scope.setdefault("sandbox.notes", {})
        started, written = time.perf_counter(), False

        def write(status: int | None) -> None:
            nonlocal written
            written = True
            # a message counts as one only when it was accepted
            default = kind.replace(".message", ".refused")
            scope["app"].state.world.journal.add(
                notes.pop("kind", default),
                method=scope["method"],
                path=scope["path"],
                query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
                status=status,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
                **notes,
            )

        async def recording(message: Message) -> None:
            if message["type"] == "http.response.start" and not written:
                write(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, recording)
        finally:
            if not written:
                write(None)
