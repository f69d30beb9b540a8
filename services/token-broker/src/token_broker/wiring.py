"""Opens what reaches outside, for the composition root; each comes back as one of :class:`Adapters`."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.runtime.database import create_engine, migrate
from shared.runtime.delivery import current_delivery
from shared.runtime.http import create_http_client
from shared.runtime.redis import create_redis
from shared.runtime.service import Core
from token_broker.adapters.connection_store import SqlConnections
from token_broker.adapters.consent_store import SqlConsents
from token_broker.adapters.grant_store import SqlGrants
from token_broker.adapters.refresh_figures import BrokerFigures
from token_broker.adapters.refresh_lock import RedisRefreshLock
from token_broker.adapters.transactions import Database
from token_broker.adapters.xero_identity import XeroIdentity
from token_broker.consent_ports import Consents
from token_broker.keyring import KeyRing
from token_broker.ports import Figures, Grants, Identity, RefreshLock
from token_broker.settings import TokenBrokerSettings
from token_broker.timing import RefreshTiming

_HTTP_CONNECTIONS = 200


@dataclass(frozen=True)
class Adapters:
    """Everything the use cases reach outside with; ``engine`` and ``redis`` are what readiness asks."""

    grants: Grants
    consents: Consents
    connections: SqlConnections
    identity: Identity
    lock: RefreshLock
    figures: Figures
    database: Database
    ring: KeyRing
    engine: AsyncEngine
    redis: Redis

    async def redis_answers(self) -> bool:
        try:
            return bool(await self.redis.ping())
        except (RedisError, OSError):
            return False


@asynccontextmanager
async def open_adapters(settings: TokenBrokerSettings, core: Core, timing: RefreshTiming) -> AsyncIterator[Adapters]:
    """Raises:
    ConfigurationError: the key ring lacks a key that stored grants were sealed with.
    """
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
            # A connection that the other side is just closing would leave a refresh without a known end.
            await stack.enter_async_context(open_client(settings.xero_identity_url, keepalive_seconds=0)),
            await stack.enter_async_context(open_client(settings.xero_api_url)),
            client_id=settings.xero_client_id,
            client_secret=settings.xero_client_secret,
            redirect_uri=settings.xero_redirect_uri,
            deadline_seconds=timing.deadline_seconds,
        )
        database = Database(engine, core.clock)
        ring = KeyRing.parse(settings.token_keys.get_secret_value())
        grants = SqlGrants(database, ring, timing)
        await grants.check_keys()
        yield Adapters(
            grants=grants,
            consents=SqlConsents(database, ring),
            connections=SqlConnections(database),
            identity=identity,
            lock=RedisRefreshLock(redis, timing.lock_seconds, timing.claim_seconds),
            figures=BrokerFigures(core.registry, _caller),
            database=database,
            ring=ring,
            engine=engine,
            redis=redis,
        )


def _caller() -> str | None:
    return current_delivery().user_id
