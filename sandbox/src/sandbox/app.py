"""Builds the ASGI application: both doubles, the admin API and the overview page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.admin import state_routes
from sandbox.bookkeeping import book_routes
from sandbox.faults import FaultMiddleware
from sandbox.pages.render import home_page
from sandbox.play import play_routes
from sandbox.recorder import Recorder
from sandbox.summary import organisation_row, summary_of
from sandbox.whatsapp.api import whatsapp_routes
from sandbox.world import Clock, World, utc_now, world_of
from sandbox.xero.accounting import accounting_routes
from sandbox.xero.identity_api import identity_routes
from sandbox.xero.login import login_routes

LATEST = 20


async def home(request: Request) -> Response:
    """`GET /`: the overview."""
    world = world_of(request)
    messages = [message.as_json() for message in list(world.outbox.messages.values())[-LATEST:]]
    organisations = [organisation_row(world, item) for item in world.books.organisations.values()]
    settings: dict[str, Any] = world.settings.model_dump(mode="json")
    return HTMLResponse(home_page(settings, organisations, summary_of(world), reversed(messages)))


async def livez(_request: Request) -> Response:
    """`GET /livez`: the process runs."""
    return PlainTextResponse("ok")


def create_app(http: httpx.AsyncClient | None = None, clock: Clock = utc_now) -> Starlette:
    """The application with a fresh world; webhooks leave through `http`."""
    world = World(http or httpx.AsyncClient(follow_redirects=False, trust_env=False), clock)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await world.close()

    app = Starlette(
        routes=[
            Route("/", home),
            Route("/livez", livez),
            *state_routes(),
            *book_routes(),
            *play_routes(),
            *login_routes(),
            *identity_routes(),
            *accounting_routes(),
            *whatsapp_routes(),
        ],
        middleware=[Middleware(Recorder), Middleware(FaultMiddleware)],
        lifespan=lifespan,
    )
    app.state.world = world
    return app
