"""The composition root: settings to adapters to use cases to the service."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.clients.token_broker import fingerprint
from shared.runtime.database import answers, create_engine, migrate
from shared.runtime.http import create_http_client
from shared.runtime.redis import create_redis
from shared.runtime.service import Core, Service, Stop
from shared.telemetry.correlation import correlated
from token_broker.adapters.connection_store import SqlConnections
from token_broker.adapters.consent_store import SqlConsents
from token_broker.adapters.grant_store import SqlGrants
from token_broker.adapters.refresh_figures import BrokerFigures
from token_broker.adapters.refresh_lock import RedisRefreshLock
from token_broker.adapters.transactions import Database
from token_broker.adapters.xero_identity import XeroIdentity
from token_broker.announce import Announcer
from token_broker.consent import Application, FinishConsent, StartConsent
from token_broker.handlers import build_router
from token_broker.handout import HandOut
from token_broker.http import consent_routes
from token_broker.keyring import KeyRing
from token_broker.links import LinkSigner
from token_broker.refresh import Refresher
from token_broker.settings import TokenBrokerSettings
from token_broker.timing import Pacing, RefreshTiming

_ANNOUNCE_EVERY_SECONDS = 1.0
_PREFETCH = 400
"""Questions wait for refreshes, so many must be able to wait at once."""
_HTTP_CONNECTIONS = 200


@asynccontextmanager
async def create_app(settings: TokenBrokerSettings, core: Core) -> AsyncIterator[Service]:
    timing = RefreshTiming()
    pacing = Pacing(timing, time.monotonic, asyncio.sleep, random.random)
    scopes = tuple(settings.xero_scopes.split())
    async with AsyncExitStack() as stack:
        engine = create_engine(settings.token_broker_database_url.get_secret_value())
        stack.push_async_callback(engine.dispose)
        await migrate(engine, "token_broker")
        redis = create_redis(settings.redis_url.get_secret_value())
        stack.push_async_callback(redis.aclose)
        open_client = partial(
            create_http_client, timeout_seconds=timing.deadline_seconds, max_connections=_HTTP_CONNECTIONS
        )
        identity = XeroIdentity(
            await stack.enter_async_context(open_client(settings.xero_identity_url)),
            await stack.enter_async_context(open_client(settings.xero_api_url)),
            client_id=settings.xero_client_id,
            client_secret=settings.xero_client_secret,
            redirect_uri=settings.xero_redirect_uri,
            deadline_seconds=timing.deadline_seconds,
        )
        database = Database(engine, core.clock)
        ring = KeyRing.parse(settings.token_keys.get_secret_value())
        grants, consents, connections = SqlGrants(database, ring), SqlConsents(database, ring), SqlConnections(database)
        await grants.check_keys()
        figures = BrokerFigures(core.registry)
        links = LinkSigner(settings.connect_url, settings.admin_secret)
        announce = Announcer(connections, core.events, links, figures, core.clock, correlated)
        refresher = Refresher(
            grants,
            identity,
            RedisRefreshLock(redis, timing.lock_seconds),
            figures,
            announce,
            pacing=pacing,
            new_owner=_new_id,
        )
        stack.push_async_callback(refresher.drain)
        hand_out = HandOut(grants, refresher, figures, pacing=pacing, fingerprint=fingerprint)
        application = Application(
            authorize_url=f"{settings.xero_login_url.rstrip('/')}/identity/connect/authorize",
            client_id=settings.xero_client_id,
            redirect_uri=settings.xero_redirect_uri,
            scopes=scopes,
        )
        start = StartConsent(consents, links, application, clock=core.clock, new_state=_new_state)
        finish = FinishConsent(
            consents,
            identity,
            links,
            figures,
            announce,
            asked_scopes=frozenset(scopes),
            monotonic=time.monotonic,
            new_id=_new_id,
        )
        yield Service(
            routes=consent_routes(start, finish, correlated),
            routers=[build_router(hand_out, connections, core.replies)],
            prefetch=_PREFETCH,
            loops={"announcements": partial(_announce_what_is_untold, announce)},
            checks={"database": partial(answers, engine), "redis": partial(_redis_answers, redis)},
        )


async def _announce_what_is_untold(announce: Announcer, stop: Stop) -> None:
    """Covers a crash between the record and the event, and a broker that was away."""
    while not stop.is_set():
        await announce()
        await stop.wait(_ANNOUNCE_EVERY_SECONDS)


async def _redis_answers(redis: Redis) -> bool:
    try:
        return bool(await redis.ping())
    except (RedisError, OSError):
        return False


def _new_id() -> str:
    return uuid4().hex


def _new_state() -> str:
    return secrets.token_urlsafe(32)
