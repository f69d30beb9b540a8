"""The management API's addresses for templates: list, create, edit, delete, unpause."""

import base64
import binascii
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.whatsapp.api import guarded, no_such_object, same_object
from sandbox.whatsapp.graph import GraphRefusalError
from sandbox.whatsapp.templates import FIELDS, SHOWN, Template
from sandbox.world import World

MOST_PER_PAGE = 1000


async def list_templates(request: Request, world: World) -> Response:
    """`GET /{version}/{waba_id}/message_templates`: filtered by name, status and language, paged by cursor."""
    _may_manage(request, world)
    asked = request.query_params
    rows = [
        template
        for template in world.templates.known.values()
        if asked.get("name", template.name) in template.name
        and asked.get("status", template.status) == template.status
        and asked.get("language", template.language) == template.language
    ]
    limit = asked.get("limit", "25")
    if not limit.isdigit() or not 1 <= int(limit) <= MOST_PER_PAGE:
        raise GraphRefusalError(100, f"limit is a number from 1 to {MOST_PER_PAGE}")
    start = _position(asked["after"]) if "after" in asked else 0
    end = start + int(limit)
    fields = set(asked["fields"].split(",")) if "fields" in asked else SHOWN
    if unknown := sorted(fields - FIELDS):
        raise GraphRefusalError(100, f"Tried accessing nonexisting field ({unknown[0]})")
    page = [template_json(template, fields) for template in rows[start:end]]
    paging: dict[str, object] = {}
    if page:
        paging["cursors"] = {"before": _cursor(start), "after": _cursor(end)}
    if end < len(rows):
        paging["next"] = str(request.url.include_query_params(after=_cursor(end)))
    return JSONResponse({"data": page, "paging": paging})


async def create_template(request: Request, world: World) -> Response:
    """`POST /{version}/{waba_id}/message_templates`; Meta may take it into another category than was asked for."""
    _may_manage(request, world)
    template = world.templates.create(await _body(request), _after_review(world))
    if world.settings.template_category:
        template.category = world.settings.template_category
    return JSONResponse({"id": template.id, "status": template.status, "category": template.category})


async def delete_template(request: Request, world: World) -> Response:
    """`DELETE /{version}/{waba_id}/message_templates?name=&hsm_id=`: in every language, or the one of that id."""
    _may_manage(request, world)
    if not world.templates.delete(request.query_params.get("name", ""), request.query_params.get("hsm_id")):
        raise GraphRefusalError(100, "Message template not found")
    return JSONResponse({"success": True})


async def edit_template(request: Request, world: World) -> Response:
    """`POST /{version}/{template_id}`: all components anew."""
    template = _template(request, world)
    world.templates.edit(template, await _body(request), _after_review(world))
    return JSONResponse({"success": True})


async def unpause_template(request: Request, world: World) -> Response:
    """`POST /{version}/{template_id}/unpause`."""
    template = _template(request, world)
    if template.status != "PAUSED":
        raise GraphRefusalError(100, "The template is not paused")
    template.status = "APPROVED"
    return JSONResponse({"success": True})


def template_json(template: Template, fields: set[str]) -> dict[str, Any]:
    """The fields asked for that the template has; its id always."""
    return {key: value for key, value in template.as_json().items() if key in fields | {"id"}}


def _may_manage(request: Request, world: World) -> None:
    same_object(request, world.settings.waba_id)
    _needs_permission(world)


def _needs_permission(world: World) -> None:
    if not world.settings.manage_templates:
        raise GraphRefusalError(200, "The token lacks whatsapp_business_management")


def _template(request: Request, world: World) -> Template:
    template = world.templates.with_id(request.path_params["object_id"])
    if template is None:
        raise no_such_object()
    _needs_permission(world)
    return template


def _after_review(world: World) -> str:
    return "APPROVED" if world.settings.template_review == "approve" else "PENDING"


async def _body(request: Request) -> dict[str, Any]:
    try:
        asked = json.loads(await request.body())
    except ValueError:
        raise GraphRefusalError(100, "The request body is not JSON") from None
    if not isinstance(asked, dict):
        raise GraphRefusalError(100, "The request body must be a JSON object")
    return asked


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"row {position}".encode()).decode()


def _position(cursor: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(cursor).decode().removeprefix("row "))
    except (ValueError, binascii.Error):
        raise GraphRefusalError(100, "Invalid cursor") from None


def management_routes() -> list[Route]:
    """Before the other addresses of the Cloud API, which match almost any path."""
    base = "/{version}/{object_id}"
    return [
        Route(f"{base}/message_templates", guarded(list_templates), methods=["GET"]),
        Route(f"{base}/message_templates", guarded(create_template), methods=["POST"]),
        Route(f"{base}/message_templates", guarded(delete_template), methods=["DELETE"]),
        Route(f"{base}/unpause", guarded(unpause_template), methods=["POST"]),
        Route(base, guarded(edit_template), methods=["POST"]),
    ]
