"""Faults that can be switched on: slow, refused, garbled, cut and lost answers."""

import asyncio
import random
import socket
import struct
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.twilio.messages import refusal
from sandbox.whatsapp.graph import graph_error

Effect = Literal[
    "latency", "status429", "status500", "status503", "html", "graph", "cut", "lose_answer_after_effect", "reset"
]
DEFERRED = "/api.xro/"


class ConnectionLostError(ConnectionError):
    """The answer was lost on purpose, and the server has no socket to close."""


class Fault(BaseModel):
    """One fault: `on` is a path pattern (`/api.xro/*`) or a journal kind (`xero.token`).

    It strikes `times` times (null: always) with `probability`, after letting `after` requests pass. `seconds` is the
    latency, the Retry-After of a 429, or how long a lost answer hangs before the connection closes; `code` is the Graph
    error of `graph` and `status` its HTTP status; `tenant` narrows the fault to one organisation.
    """

    model_config = ConfigDict(extra="forbid")

    on: str
    effect: Effect
    times: int | None = Field(1, ge=1)
    seconds: float = Field(0, ge=0)
    probability: float = Field(1, ge=0, le=1)
    seed: int = 0
    after: int = Field(0, ge=0)
    method: str | None = None
    tenant: str | None = None
    code: int = 131000
    status: int | None = Field(None, ge=200, le=599)


@dataclass(slots=True)
class Armed:
    """A fault with its own dice and count of strikes."""

    fault: Fault
    random: random.Random
    passed: int = 0
    struck: int = 0


@dataclass(slots=True)
class Faults:
    """The faults switched on, first match wins."""

    armed: list[Armed] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Switch one more on."""
        self.armed.append(Armed(fault, random.Random(fault.seed)))

    def strike(self, method: str, path: str, kind: str, tenant: str | None) -> Fault | None:
        """The fault that hits this request, if any."""
        for armed in self.armed:
            fault = armed.fault
            if armed.struck == fault.times or not _concerns(fault, method, path, kind, tenant):
                continue
            armed.passed += 1
            if armed.passed > fault.after and armed.random.random() < fault.probability:
                armed.struck += 1
                return fault
        return None


def _concerns(fault: Fault, method: str, path: str, kind: str, tenant: str | None) -> bool:
    if fault.method not in {None, method} or fault.tenant not in {None, tenant}:
        return False
    return fnmatchcase(path, fault.on) if fault.on.startswith("/") else kind == fault.on


class FaultMiddleware:
    """Applies the faults between the recorder and the endpoints."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, strike it, or both."""
        kind = scope.get("sandbox.kind")
        if scope["type"] != "http" or kind is None:
            await self.app(scope, receive, send)
            return
        tenant = dict(scope["headers"]).get(b"xero-tenant-id", b"").decode("latin-1") or None
        fault = scope["app"].state.world.faults.strike(scope["method"], scope["path"], kind, tenant)
        if fault is None:
            await self.app(scope, receive, send)
            return
        scope.setdefault("sandbox.notes", {})["fault"] = fault.effect
        await self._apply(fault, scope, receive, send)

    async def _apply(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        match fault.effect:
            case "latency":
                if scope["path"].startswith(DEFERRED):
                    scope["sandbox.delay"] = fault.seconds  # slept inside, so that the call counts as in flight
                else:
                    receive = await _heard(receive)
                    await asyncio.sleep(fault.seconds)
                await self.app(scope, receive, send)
            case "reset":
                await _drop(scope, hard=True)
            case "cut":
                await self.app(scope, receive, _half(send))
                await _drop(scope, hard=False)
            case "lose_answer_after_effect":
                await self.app(scope, receive, _swallow(scope))
                await asyncio.sleep(fault.seconds)
                await _drop(scope, hard=False)
            case _:
                await _refusal(fault, scope)(scope, receive, send)


def _refusal(fault: Fault, scope: Scope) -> Response:
    whatsapp = scope["sandbox.kind"].startswith("whatsapp.")
    if fault.effect == "html":
        return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", 502)
    if scope["sandbox.kind"].startswith("twilio."):
        twilio = {"status429": (20429, 429), "status500": (20500, 500), "status503": (20503, 503)}
        return refusal(*twilio.get(fault.effect, (fault.code, fault.status or 400)))
    if whatsapp:
        codes = {"status429": 130429, "status500": 131000, "status503": 131016}
        status = {"status429": 429, "status500": 500, "status503": 503}.get(fault.effect, fault.status)
        return graph_error(codes.get(fault.effect, fault.code), "Made to fail", status=status)
    if fault.effect == "status429":
        headers = {"X-Rate-Limit-Problem": "minute", "Retry-After": str(int(fault.seconds) or 1)}
        return Response(status_code=429, headers=headers)
    if fault.effect == "status503":
        return PlainTextResponse("The Xero API is currently offline for maintenance", 503)
    return JSONResponse({"Title": "An error occurred", "Detail": "Made to fail", "Status": 500, "Instance": ""}, 500)


async def _heard(receive: Receive) -> Receive:
    """The request as it came, to be read later: it has its effect even when the client leaves in the meantime."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    kept = iter(messages)

    async def again() -> Message:
        return next(kept, None) or await receive()

    return again


def _swallow(scope: Scope) -> Send:
    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            scope["sandbox.notes"]["lost_status"] = message["status"]

    return send


def _half(send: Send) -> Send:
    async def half(message: Message) -> None:
        if message["type"] == "http.response.body":
            body: bytes = message.get("body", b"")
            message = {**message, "body": body[: len(body) // 2], "more_body": True}
        await send(message)

    return half


async def _drop(scope: Scope, *, hard: bool) -> None:
    transport: Any = scope.get("state", {}).get("transports", {}).get(scope.get("client"))
    if transport is None:
        raise ConnectionLostError("the answer was lost")
    raw = transport.get_extra_info("socket")
    if hard and raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
    # one turn of the loop lets the server see that the client is gone before the application returns
    await asyncio.sleep(0)
