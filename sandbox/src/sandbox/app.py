"""Builds the ASGI application: both doubles, the admin API and the overview page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.admin import state_routes
from sandbox.bookkeeping import book_routes
from sandbox.faults import FaultMiddleware
from sandbox.pages.desk import page_routes
from sandbox.play import play_routes
from sandbox.recorder import Recorder
from sandbox.twilio.api import twilio_routes
from sandbox.whatsapp.api import whatsapp_routes
from sandbox.whatsapp.management import management_routes
from sandbox.world import Clock, World, utc_now
from sandbox.xero.accounting import accounting_routes
from sandbox.xero.identity_api import identity_routes
from sandbox.xero.login import login_routes


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
            Route("/livez", livez),
            *page_routes(),
            *state_routes(),
            *book_routes(),
            *play_routes(),
            *login_routes(),
            *identity_routes(),
            *accounting_routes(),
            *twilio_routes(),
            *management_routes(),
            *whatsapp_routes(),
        ],
        middleware=[Middleware(Recorder), Middleware(FaultMiddleware)],
        lifespan=lifespan,
    )
    app.state.world = world
    return app
