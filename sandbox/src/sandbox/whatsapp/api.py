"""The Cloud API's addresses: messages, media, and the fields of one object."""

import asyncio
import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.journal import short_hash
from sandbox.whatsapp.graph import GraphRefusalError, graph_error
from sandbox.whatsapp.messages import accept
from sandbox.whatsapp.templates import FIELDS, SHOWN
from sandbox.world import World, note, world_of

OLDEST, NEWEST = 21, 26
MEDIA_TYPES = {"application/pdf", "image/jpeg", "image/png"}
Handler = Callable[[Request, World], Awaitable[Response]]


def guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint behind the checks of version and bearer, with refusals written as Graph errors."""

    async def endpoint(request: Request) -> Response:
        world = world_of(request)
        version = re.fullmatch(r"v(\d+)\.\d", request.path_params["version"])
        if version is None:
            return Response(status_code=404)
        try:
            if not OLDEST <= int(version.group(1)) <= NEWEST:
                raise GraphRefusalError(2635, f"Use v{OLDEST}.0 to v{NEWEST}.0")
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            note(request, token=short_hash(token))
            expected = world.settings.whatsapp_token.get_secret_value()
            if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), expected.encode()):
                raise GraphRefusalError(190, "The access token is invalid or has expired")
            return await handler(request, world)
        except GraphRefusalError as refusal:
            note(request, code=refusal.code, details=refusal.details)
            return graph_error(refusal.code, refusal.details, subcode=refusal.subcode)

    return endpoint


async def messages(request: Request, world: World) -> Response:
    """`POST /{version}/{phone_number_id}/messages`: every accepted POST is one more message."""
    same_object(request, world.settings.phone_number_id)
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise GraphRefusalError(100, "The request body is not JSON") from None
    note(request, body=body)
    message = accept(body, world.outbox, world.templates, world.settings)
    world.outbox.add(message)
    note(
        request,
        kind="whatsapp.message",
        wamid=message.wamid,
        to=message.number,
        template=message.template,
        language=message.language,
        parameters=message.parameters,
        text=message.text,
        biz_opaque_callback_data=message.reference,
    )
    world.whatsapp_webhooks.message_accepted(message)
    if world.settings.whatsapp_latency:
        await asyncio.sleep(world.settings.whatsapp_latency)
    return JSONResponse(
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": message.number, "wa_id": message.number.lstrip("+")}],
            "messages": [{"id": message.wamid, "message_status": world.settings.message_status}],
        }
    )


async def media(request: Request, world: World) -> Response:
    """`POST /{version}/{phone_number_id}/media`: keep a file and return its id."""
    same_object(request, world.settings.phone_number_id)
    async with request.form() as form:
        upload = form.get("file")
        if form.get("messaging_product") != "whatsapp" or not isinstance(upload, UploadFile):
            raise GraphRefusalError(100, "messaging_product and file are required")
        kind, size = str(form.get("type") or upload.content_type), len(await upload.read())
    if kind not in MEDIA_TYPES:
        allowed = ", ".join(sorted(MEDIA_TYPES))
        raise GraphRefusalError(100, f"Param file must be a file with one of the types {allowed}")
    media_id = str(secrets.randbelow(9 * 10**14) + 10**14)
    world.outbox.media[media_id] = {"id": media_id, "mime_type": kind, "file_size": size}
    return JSONResponse({"id": media_id})


async def read_object(request: Request, world: World) -> Response:
    """`GET /{version}/{id}`: the fields asked for of the phone number, the business account or a template."""
    settings, wanted_id = world.settings, request.path_params["object_id"]
    health = {"can_send_message": "AVAILABLE", "entities": []}
    fields = request.query_params.get("fields")
    if template := world.templates.with_id(wanted_id):
        asked = set(fields.split(",")) if fields else SHOWN
        if unknown := sorted(asked - FIELDS):
            raise GraphRefusalError(100, f"Tried accessing nonexisting field ({unknown[0]})")
        shown = template.as_json() | {"health_status": health}
        return JSONResponse({key: value for key, value in shown.items() if key in asked | {"id"}})
    known: dict[str, dict[str, Any]] = {}
    known[settings.waba_id] = {"id": settings.waba_id, "name": "Duebell Sandbox", "currency": "INR"}
    known[settings.phone_number_id] = {
        "id": settings.phone_number_id,
        "display_phone_number": f"+{settings.display_phone_number}",
        "verified_name": "Duebell Sandbox",
        "quality_rating": "GREEN",
        "code_verification_status": "VERIFIED",
        "platform_type": "CLOUD_API",
        "status": "CONNECTED",
        "throughput": {"level": "STANDARD"},
        "whatsapp_business_manager_messaging_limit": "TIER_2K",
    }
    if wanted_id not in known:
        raise no_such_object()
    everything = known[wanted_id] | {"health_status": health}
    wanted = {"id", *fields.split(",")} if fields else set(everything) - {"health_status"}
    if not wanted <= set(everything):
        raise GraphRefusalError(
            100, f"Tried accessing nonexisting field ({', '.join(sorted(wanted - set(everything)))})"
        )
    return JSONResponse({key: value for key, value in everything.items() if key in wanted})


def same_object(request: Request, expected: str) -> None:
    """Raises GraphRefusalError unless the path names `expected`."""
    if request.path_params["object_id"] != expected:
        raise no_such_object()


def no_such_object() -> GraphRefusalError:
    """How Meta speaks of an id that it does not know, or that the token may not see."""
    return GraphRefusalError(100, "Unsupported request. The object does not exist or cannot be loaded", subcode=33)


def whatsapp_routes() -> list[Route]:
    """The Cloud API's addresses; last in the table, because they match almost any path."""
    base = "/{version}/{object_id}"
    return [
        Route(f"{base}/messages", guarded(messages), methods=["POST"]),
        Route(f"{base}/media", guarded(media), methods=["POST"]),
        Route(base, guarded(read_object), methods=["GET"]),
    ]
