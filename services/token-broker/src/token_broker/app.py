"""The composition root: settings to adapters to use cases to the service."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from uuid import uuid4

from shared.clients.token_broker import fingerprint
from shared.runtime.database import answers
from shared.runtime.service import Core, Loop, Service, Stop
from shared.telemetry.correlation import correlated
from token_broker.admin.calls import CallSigner, Gate
from token_broker.admin.desk import admin_commands
from token_broker.admin.http import admin_routes
from token_broker.ahead import RefreshAhead
from token_broker.announce import Announcer
from token_broker.consent import Application, FinishConsent, StartConsent
from token_broker.handlers import build_router
from token_broker.handout import HandOut
from token_broker.http import consent_routes
from token_broker.keeper import Keeper
from token_broker.links import LinkSigner
from token_broker.reconcile import Reconcile
from token_broker.refresh import Refresher
from token_broker.settings import TokenBrokerSettings
from token_broker.timing import Pacing, RefreshTiming
from token_broker.wiring import Adapters, open_adapters

_ANNOUNCE_EVERY_SECONDS = 1.0
_AHEAD_EVERY_SECONDS = 1.0
_KEEPER_EVERY_SECONDS = 5.0
_PREFETCH = 400
"""Questions wait for refreshes, so many must be able to wait at once."""


def unchanged(adapters: Adapters) -> Adapters:
    return adapters


@asynccontextmanager
async def create_app(
    settings: TokenBrokerSettings,
    core: Core,
    *,
    timing: RefreshTiming | None = None,
    around: Callable[[Adapters], Adapters] = unchanged,
) -> AsyncIterator[Service]:
    """``timing`` and ``around`` are for whoever runs the service in other circumstances, with the same wiring."""
    timing = replace(timing or RefreshTiming(), grace_seconds=settings.xero_refresh_grace_seconds)
    pacing = Pacing(timing, _elapsed, asyncio.sleep, random.random)
    async with open_adapters(settings, core, timing) as opened:
        adapters = around(opened)
        figures, connections = adapters.figures, adapters.connections
        links = LinkSigner(settings.connect_url, settings.admin_secret)
        announce = Announcer(connections, core.events, links, figures, core.clock, correlated)
        refresher = Refresher(
            adapters.grants, adapters.identity, adapters.lock, figures, announce, pacing=pacing, new_owner=_new_id
        )
        reconcile = Reconcile(connections, adapters.identity, figures, announce, pacing)
        ahead = RefreshAhead(refresher, pacing)
        keeper = Keeper(adapters.grants, refresher, reconcile, figures, pacing)
        hand_out = HandOut(
            adapters.grants, refresher, reconcile, ahead, figures, pacing=pacing, fingerprint=fingerprint
        )
        scopes = tuple(settings.xero_scopes.split())
        application = Application(
            authorize_url=f"{settings.xero_login_url.rstrip('/')}/identity/connect/authorize",
            client_id=settings.xero_client_id,
            redirect_uri=settings.xero_redirect_uri,
            scopes=scopes,
        )
        start = StartConsent(adapters.consents, links, application, clock=core.clock, new_state=_new_state)
        finish = FinishConsent(
            adapters.consents,
            adapters.identity,
            links,
            figures,
            announce,
            asked_scopes=frozenset(scopes),
            new_id=_new_id,
        )
        commands = admin_commands(adapters, refresher, announce, pacing, _new_id)
        gate = Gate(CallSigner(settings.admin_secret), core.clock)
        try:
            yield Service(
                routes=[*consent_routes(start, finish, correlated), *admin_routes(gate, commands, correlated)],
                routers=[build_router(hand_out, connections, core.replies)],
                prefetch=_PREFETCH,
                loops={
                    # Covers a crash between the record and the event, and a broker that was away.
                    "announcements": _every(_ANNOUNCE_EVERY_SECONDS, announce),
                    "refreshes ahead": _every(_AHEAD_EVERY_SECONDS, ahead),
                    # Apart, so that a list that hangs delays no refresh whose end is unknown.
                    "unknown ends": _every(_KEEPER_EVERY_SECONDS, keeper.settle),
                    "daily looks": _every(_KEEPER_EVERY_SECONDS, keeper.look),
                },
                checks={"database": partial(answers, adapters.engine), "redis": adapters.redis_answers},
            )
        finally:
            await refresher.drain()


def _elapsed() -> float:
    """Goes on while a machine is suspended, as claims do; the ordinary monotonic clock stands still on Linux."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> Loop:
    async def loop(stop: Stop) -> None:
        while not stop.is_set():
            await work()
            await stop.wait(seconds)

    return loop


def _new_id() -> str:
    return uuid4().hex


def _new_state() -> str:
    return secrets.token_urlsafe(32)
