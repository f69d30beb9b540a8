"""Twilio's addresses: send a message, list what was sent, show one."""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.journal import short_hash
from sandbox.twilio.messages import TwilioRefusalError, accept, as_json, refusal
from sandbox.whatsapp.graph import GraphRefusalError
from sandbox.whatsapp.outbox import Message
from sandbox.world import World, note, world_of

Handler = Callable[[Request, World], Awaitable[Response]]
_LISTING = {"To", "From", "DateSent", "DateSent>", "DateSent<", "PageSize"}


def guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint behind basic authentication, with refusals as Twilio words them."""

    async def endpoint(request: Request) -> Response:
        world = world_of(request)
        try:
            _authenticate(request, world)
            return await handler(request, world)
        except TwilioRefusalError as error:
            note(request, code=error.code, details=error.message)
            return refusal(error.code, error.status, error.message)
        except GraphRefusalError as error:
            note(request, code=21656, details=error.details)
            return refusal(21656, 400, error.details)

    return endpoint


def _authenticate(request: Request, world: World) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    note(request, token=short_hash(given))
    expected = f"{world.settings.twilio_account_sid}:{world.settings.twilio_auth_token.get_secret_value()}"
    try:
        told = base64.b64decode(given, validate=True)
    except binascii.Error:
        told = b""
    if scheme.lower() != "basic" or not hmac.compare_digest(told, expected.encode()):
        raise TwilioRefusalError(20003, "Authenticate", 401)
    if request.path_params["account"] != world.settings.twilio_account_sid:
        raise TwilioRefusalError(20404, "The requested resource was not found", 404)


async def send(request: Request, world: World) -> Response:
    """`POST …/Messages.json`: every accepted POST is one more message."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise TwilioRefusalError(20001, "The body must be a form")
    form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
    note(request, form=form)
    message = accept(form, world.outbox, world.templates, world.settings)
    world.outbox.add(message)
    note(
        request,
        kind="twilio.message",
        sid=message.wamid,
        to=message.number,
        template=message.template,
        language=message.language,
        parameters=message.parameters,
        text=message.text,
        reference=message.reference,
    )
    world.twilio_webhooks.message_accepted(message)
    return JSONResponse(as_json(message, world.settings), 201)


async def list_messages(request: Request, world: World) -> Response:
    """`GET …/Messages.json?To=&From=`: the newest first."""
    asked = request.query_params
    note(request, kind="twilio.list")
    if unknown := sorted(set(asked) - _LISTING):
        raise TwilioRefusalError(20001, f"Unknown parameter {unknown[0]}")
    rows = [as_json(message, world.settings) for message in _ours(world)]
    for name in ("To", "From"):
        if name in asked:
            rows = [row for row in rows if row[name.lower()] == asked[name]]
    return JSONResponse({"messages": rows[::-1][: int(asked.get("PageSize", "50"))], "page": 0})


async def show(request: Request, world: World) -> Response:
    """`GET …/Messages/{sid}.json`."""
    note(request, kind="twilio.list")
    found = next((item for item in _ours(world) if item.wamid == request.path_params["sid"]), None)
    if found is None:
        raise TwilioRefusalError(20404, "The requested resource was not found", 404)
    return JSONResponse(as_json(found, world.settings))


def _ours(world: World) -> list[Message]:
    return [message for message in world.outbox.messages.values() if message.wamid.startswith("SM")]


def twilio_routes() -> list[Route]:
    """Twilio's addresses."""
    base = "/2010-04-01/Accounts/{account}/Messages"
    return [
        Route(f"{base}.json", guarded(send), methods=["POST"]),
        Route(f"{base}.json", guarded(list_messages), methods=["GET"]),
        Route(f"{base}/{{sid}}.json", guarded(show), methods=["GET"]),
    ]
