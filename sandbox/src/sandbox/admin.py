"""The admin API's frame, and its addresses for settings, journal, summary, tokens and faults."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.books import BookError
from sandbox.faults import Fault
from sandbox.summary import summary_of
from sandbox.world import World, world_of

Handler = Callable[[Request, World], Awaitable[Any]]
Model = TypeVar("Model", bound=BaseModel)


def admin(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that answers JSON: 400 with the reason for a bad body, 404 for an unknown id."""

    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await handler(request, world_of(request)))
        except ValidationError as error:
            return JSONResponse({"error": json.loads(error.json(include_url=False, include_input=False))}, 400)
        except (BookError, json.JSONDecodeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        except KeyError as error:
            return JSONResponse({"error": f"unknown: {error}"}, 404)

    return endpoint


async def body_of(request: Request, model: type[Model]) -> Model:
    """The request's JSON as `model`; an empty body counts as `{}`."""
    return model.model_validate_json(await request.body() or b"{}")


async def read_settings(_request: Request, world: World) -> Any:
    """`GET /sandbox/settings`; secrets are masked."""
    return world.settings.model_dump(mode="json")


async def change_settings(request: Request, world: World) -> Any:
    """`PUT /sandbox/settings`: only the fields given change."""
    changes = TypeAdapter(dict[str, Any]).validate_json(await request.body())
    before, world.settings = world.settings, world.settings.patched(changes)
    if before.webhook_url != world.settings.webhook_url:
        world.xero_webhooks.url_changed()
    if "seed" in changes:
        world.random.seed(world.settings.seed)
    world.xero_webhooks.wake()
    return world.settings.model_dump(mode="json")


async def reset(request: Request, world: World) -> Any:
    """`POST /sandbox/reset`: forget everything; settings too unless `?settings=keep`."""
    world.reset(world.settings if request.query_params.get("settings") == "keep" else None)
    return {"ok": True}


async def journal(request: Request, world: World) -> Any:
    """`GET /sandbox/journal?kind=&since=&limit=`."""
    asked = request.query_params
    limit = int(asked["limit"]) if "limit" in asked else None
    return {"entries": world.journal.select(asked.get("kind"), int(asked.get("since", "0")), limit)}


async def clear_journal(_request: Request, world: World) -> Any:
    """`DELETE /sandbox/journal`."""
    world.journal.clear()
    return {"ok": True}


async def summary(_request: Request, world: World) -> Any:
    """`GET /sandbox/summary`."""
    return summary_of(world)


async def tokens(_request: Request, world: World) -> Any:
    """`GET /sandbox/tokens`: every code and token issued, plain, for tests that look where they must not be."""
    identity = world.identity
    return {
        "codes": list(identity.codes),
        "access_tokens": identity.access_tokens,
        "refresh_tokens": list(identity.refresh_tokens),
    }


async def set_faults(request: Request, world: World) -> Any:
    """`GET` lists faults, `PUT` replaces all, `POST` adds one, `DELETE` removes all."""
    if request.method == "POST":
        world.faults.add(await body_of(request, Fault))
    if request.method in {"PUT", "DELETE"}:
        world.faults.armed.clear()
    if request.method == "PUT":
        for fault in TypeAdapter(list[Fault]).validate_json(await request.body()):
            world.faults.add(fault)
    return {"faults": [{**armed.fault.model_dump(), "struck": armed.struck} for armed in world.faults.armed]}


def admin_routes(prefix: str, table: Sequence[tuple[str, str, Handler]]) -> list[Route]:
    """Routes from rows of methods, path and handler."""
    return [Route(f"{prefix}{path}", admin(handler), methods=methods.split()) for methods, path, handler in table]


def state_routes() -> list[Route]:
    """The addresses for settings, journal, summary, tokens and faults."""
    return admin_routes(
        "/sandbox",
        [
            ("GET", "/settings", read_settings),
            ("PUT", "/settings", change_settings),
            ("POST", "/reset", reset),
            ("GET", "/journal", journal),
            ("DELETE", "/journal", clear_journal),
            ("GET", "/summary", summary),
            ("GET", "/tokens", tokens),
            ("PUT POST DELETE GET", "/faults", set_faults),
        ],
    )
