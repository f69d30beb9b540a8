"""The operator's addresses below ``/admin``: signed calls in, plain JSON out, and never a token."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.errors import DuebellError, RetryableError
from shared.telemetry.logging import get_logger
from token_broker.admin.calls import MOST_BYTES, Call, Gate
from token_broker.admin.disconnect import Disconnect
from token_broker.admin.overview import Overview
from token_broker.admin.refusals import CommandRefused, Refusal
from token_broker.admin.revoke import Revoke
from token_broker.http import Correlated
from token_broker.pages import HEADERS
from token_broker.reseal import Reseal

_log = get_logger(__name__)

_STATUS = {
    Refusal.UNREADABLE_CALL: 400,
    Refusal.UNKNOWN_TENANT: 404,
    Refusal.UNREADABLE_RECORD: 500,
    Refusal.XERO_UNAVAILABLE: 503,
    Refusal.XERO_SILENT: 503,
    Refusal.OUT_OF_ORDER: 503,
}
_CONFLICT = 409
_MOST_RESEALED = 1000
_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)
_HEADERS = {name: value for name, value in HEADERS.items() if name != "Content-Security-Policy"}


@dataclass(frozen=True)
class Commands:
    """What an operator can ask for; ``first_key`` is the id of the key that seals now."""

    overview: Overview
    disconnect: Disconnect
    revoke: Revoke
    reseal: Reseal
    first_key: str


Asked = dict[str, Any]


def admin_routes(gate: Gate, commands: Commands, correlated: Correlated) -> list[Route]:
    async def connections(_: Asked) -> Any:
        return {"connections": await commands.overview()}

    async def disconnect(asked: Asked) -> Any:
        return await commands.disconnect(_text(asked, "tenant_id"))

    async def revoke(asked: Asked) -> Any:
        return await commands.revoke(_text(asked, "tenant_id"), several=asked.get("several") is True)

    async def reseal(asked: Asked) -> Any:
        return {"resealed": await commands.reseal(_limit(asked)), "first_key": commands.first_key}

    def route(method: str, path: str, command: Callable[[Asked], Awaitable[Any]]) -> Route:
        async def endpoint(request: Request) -> Response:
            call = await _call(request)
            if call is None or not gate.admits(call, request.headers.get("authorization", "")):
                _log.warning("admin.refused", path=path)
                return Response(status_code=401, headers=_HEADERS)
            with correlated(None):
                return await _answer(path, call, command)

        found = Route(path, endpoint, methods=[method])
        found.methods = {method}
        return found

    return [
        route("GET", "/admin/connections", connections),
        route("POST", "/admin/disconnect", disconnect),
        route("POST", "/admin/revoke", revoke),
        route("POST", "/admin/keys/reseal", reseal),
    ]


async def _answer(path: str, call: Call, command: Callable[[Asked], Awaitable[Any]]) -> Response:
    asked: Asked = {}
    try:
        asked = _asked(call)
        done = await command(asked)
    except DuebellError as error:
        refused = _as_refusal(error)
        _log.warning("admin.called", path=path, outcome=refused.refusal, tenant_id=_shown_tenant(asked))
        said = {"error": refused.refusal, "text": refused.text, "organisations": refused.organisations}
        return _json(said, _STATUS.get(refused.refusal, _CONFLICT))
    _log.info("admin.called", path=path, outcome="done", tenant_id=_shown_tenant(asked))
    return _json(done, 200)


def _as_refusal(error: DuebellError) -> CommandRefused:
    """Errors of the record say no more than their machine word."""
    if isinstance(error, CommandRefused):
        return error
    if isinstance(error, RetryableError):
        return CommandRefused(Refusal.OUT_OF_ORDER, f"That cannot be done now ({error.reason}). Run it again.")
    return CommandRefused(Refusal.UNREADABLE_RECORD, f"The record cannot be read ({error.reason}).")


async def _call(request: Request) -> Call | None:
    """None when the body is too long."""
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return None
    except ClientDisconnect:
        return None
    query: bytes = request.scope["query_string"]
    target: bytes = request.scope["raw_path"] + (b"?" + query if query else b"")
    return Call(request.method, target.decode("latin-1"), bytes(body))


def _asked(call: Call) -> Asked:
    if not call.body:
        return {}
    try:
        asked = json.loads(call.body)
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise CommandRefused(Refusal.UNREADABLE_CALL, "The call's body is not a JSON object.")
    return asked


def _text(asked: Asked, name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value:
        raise CommandRefused(Refusal.UNREADABLE_CALL, f"The call has no {name}.")
    return value


def _limit(asked: Asked) -> int:
    value = asked.get("limit")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MOST_RESEALED:
        raise CommandRefused(Refusal.UNREADABLE_CALL, f"The call's limit is not between 1 and {_MOST_RESEALED}.")
    return value


def _shown_tenant(asked: Asked) -> str | None:
    value = asked.get("tenant_id")
    return value[:64] if isinstance(value, str) else None


def _json(content: Any, status: int) -> Response:
    return JSONResponse(_ANYTHING.dump_python(content, mode="json"), status_code=status, headers=_HEADERS)
