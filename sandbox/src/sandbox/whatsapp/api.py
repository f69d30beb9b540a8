"""The Cloud API's addresses: messages, media, templates, and the fields of one object."""

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
    _same_object(request, world.settings.phone_number_id)
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
    _same_object(request, world.settings.phone_number_id)
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


async def list_templates(request: Request, world: World) -> Response:
    """`GET /{version}/{waba_id}/message_templates`: filtered by name, status and language, paged by cursor."""
    _same_object(request, world.settings.waba_id)
    asked = request.query_params
    rows = [
        template
        for template in world.templates.known.values()
        if asked.get("name", template.name) in template.name
        and asked.get("status", template.status) == template.status
        and asked.get("language", template.language) == template.language
    ]
    after, limit = asked.get("after", "0"), asked.get("limit", "25")
    if not after.isdigit() or not limit.isdigit() or int(limit) < 1:
        raise GraphRefusalError(100, "after is a cursor and limit a number")
    end = int(after) + int(limit)
    page = [template.as_json() for template in rows[int(after) : end]]
    if "fields" in asked:
        wanted = {"id", *asked["fields"].split(",")}
        page = [{key: value for key, value in row.items() if key in wanted} for row in page]
    paging: dict[str, object] = {"cursors": {"before": after, "after": str(end)}}
    if end < len(rows):
        paging["next"] = str(request.url.include_query_params(after=str(end)))
    return JSONResponse({"data": page, "paging": paging})


async def create_template(request: Request, world: World) -> Response:
    """`POST /{version}/{waba_id}/message_templates`."""
    _same_object(request, world.settings.waba_id)
    try:
        asked = json.loads(await request.body())
    except ValueError:
        raise GraphRefusalError(100, "The request body is not JSON") from None
    if not isinstance(asked, dict):
        raise GraphRefusalError(100, "The request body must be a JSON object")
    template = world.templates.create(asked)
    return JSONResponse({"id": template.id, "status": template.status, "category": template.category})


async def delete_template(request: Request, world: World) -> Response:
    """`DELETE /{version}/{waba_id}/message_templates?name=`: in every language."""
    _same_object(request, world.settings.waba_id)
    if not world.templates.delete(request.query_params.get("name", "")):
        raise GraphRefusalError(100, "Message template not found")
    return JSONResponse({"success": True})


async def read_object(request: Request, world: World) -> Response:
    """`GET /{version}/{id}`: the fields asked for of the phone number, the business account or a template."""
    settings, wanted_id = world.settings, request.path_params["object_id"]
    health = {"can_send_message": "AVAILABLE", "entities": []}
    known: dict[str, dict[str, Any]] = {row.id: row.as_json() for row in world.templates.known.values()}
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
        raise _no_such_object()
    everything = known[wanted_id] | {"health_status": health}
    fields = request.query_params.get("fields")
    wanted = {"id", *fields.split(",")} if fields else set(everything) - {"health_status"}
    if not wanted <= set(everything):
        raise GraphRefusalError(
            100, f"Tried accessing nonexisting field ({', '.join(sorted(wanted - set(everything)))})"
        )
    return JSONResponse({key: value for key, value in everything.items() if key in wanted})


def _same_object(request: Request, expected: str) -> None:
    if request.path_params["object_id"] != expected:
        raise _no_such_object()


def _no_such_object() -> GraphRefusalError:
    return GraphRefusalError(100, "Unsupported request. The object does not exist or cannot be loaded", subcode=33)


def whatsapp_routes() -> list[Route]:
    """The Cloud API's addresses; last in the table, because they match almost any path."""
    base = "/{version}/{object_id}"
    return [
        Route(f"{base}/messages", guarded(messages), methods=["POST"]),
        Route(f"{base}/media", guarded(media), methods=["POST"]),
        Route(f"{base}/message_templates", guarded(list_templates), methods=["GET"]),
        Route(f"{base}/message_templates", guarded(create_template), methods=["POST"]),
        Route(f"{base}/message_templates", guarded(delete_template), methods=["DELETE"]),
        Route(base, guarded(read_object), methods=["GET"]),
    ]
