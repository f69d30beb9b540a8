"""Composes the fetcher."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from redis.exceptions import RedisError

from fetcher.adapters.calls import CALL_SECONDS, XeroCalls
from fetcher.adapters.contact_cache import RedisContactCache
from fetcher.adapters.cursors import RedisCursors
from fetcher.adapters.limiter import CallLimiter, Limits
from fetcher.adapters.link_cache import RedisLinkCache
from fetcher.adapters.organisation_cache import RedisOrganisationCache
from fetcher.adapters.pacing import SweepPacing
from fetcher.adapters.served_scans import RedisServedScans
from fetcher.adapters.tokens import AccessTokens
from fetcher.adapters.webhook_records import RedisWebhookRecords
from fetcher.adapters.xero import Xero
from fetcher.arrivals import Arrivals
from fetcher.contacts import ContactDirectory
from fetcher.gatherer import Gatherer
from fetcher.handlers import LaneShares, build_router
from fetcher.looks import LookAtInvoices
from fetcher.metrics import FetcherMetrics
from fetcher.online_links import OnlineLinks
from fetcher.organisations import OrganisationDirectory
from fetcher.pacing import PacedScans
from fetcher.poll_account import PollAccount
from fetcher.purposes import Purpose
from fetcher.readings import InvoiceReader, Reading
from fetcher.scans import ScanTenant
from fetcher.scans_once import ScansOnce
from fetcher.settings import FetcherSettings
from fetcher.shares import TenantShares
from fetcher.silence_watch import SilenceWatch
from fetcher.troubles import Troubles
from fetcher.watch_loop import WatchLoop
from shared.runtime.http import create_http_client
from shared.runtime.redis import create_redis
from shared.runtime.service import Core, Service

PREFETCH = 100
"""Of looks, scans and connections; the lanes of events have their own."""
PUBLISHED_AT_ONCE = 200
"""What the batches of many tenants bring at the same moment would else time out together, and be sent again."""
HOT_SHARE = 100
"""Of one tenant in the hot lane: a burst fits, and twenty-four tenants that Xero holds leave room for others."""

BULK_SHARE = 100
"""Of one tenant in the bulk lane, while it is held or slow."""
MOST_CONNECTIONS = 800
"""The permits are the bound; this keeps below the 1,024 files that a process may usually open."""
POOL_SECONDS = 2.0
"""A call that waits for a connection has its permit in hand."""


@asynccontextmanager
async def create_app(settings: FetcherSettings, core: Core) -> AsyncIterator[Service]:
    figures = FetcherMetrics(core.registry, settings.xero_calls_per_day)
    redis = create_redis(settings.redis_url.get_secret_value())
    # The whole call has a deadline of its own; the client's must not come first.
    http = create_http_client(
        settings.xero_api_url,
        timeout_seconds=CALL_SECONDS + 10,
        max_connections=MOST_CONNECTIONS,
        pool_seconds=POOL_SECONDS,
    )
    async with redis, http, core.token_broker() as broker:
        limits = Limits.of(settings)
        troubles = Troubles()
        limiter = CallLimiter(redis, limits, waited=figures.waited, refused=figures.refused, held=troubles.held)
        calls = XeroCalls(http, AccessTokens(broker, core.clock), limiter, core.clock, figures, troubles=troubles)
        xero = {purpose: Xero(calls, figures.invoices_per_call.observe, purpose) for purpose in Purpose}
        cache = RedisContactCache(redis)
        contacts = {purpose: ContactDirectory(xero[purpose], cache, core.clock) for purpose in Purpose}
        # Everything rests on the organisation, which is read once a day: it never yields.
        organisations = OrganisationDirectory(
            xero[Purpose.LOOK], RedisOrganisationCache(redis), core.events.publish, core.clock
        )
        reader = {purpose: InvoiceReader(xero[purpose], contacts[purpose], organisations) for purpose in Purpose}
        publishing = asyncio.Semaphore(PUBLISHED_AT_ONCE)
        of_events = Gatherer[Reading](reader[Purpose.EVENT].read, is_behind=publishing.locked)
        of_requests = Gatherer[Reading](partial(reader[Purpose.LOOK].read, contacts_anew=True))
        records = RedisWebhookRecords(redis, core.clock)
        arrivals = Arrivals(records, figures.found_by_webhook)
        account = PollAccount(records, core.clock, figures.found_by_poll_only)
        # A link is what a message can most easily do without.
        links = OnlineLinks(xero[Purpose.SWEEP], RedisLinkCache(redis), figures.link)
        look = LookAtInvoices(of_events, of_requests, contacts[Purpose.EVENT], links, figures.ignored, arrivals)
        pacing = SweepPacing(redis, limiter.day_left, limits.per_day, figures.put_off)
        scan = ScanTenant(
            xero[Purpose.SWEEP], reader[Purpose.SWEEP], organisations, RedisCursors(redis), core.clock, account
        )
        scans = ScansOnce(PacedScans(scan, pacing), RedisServedScans(redis))
        silence = SilenceWatch(records, core.events.publish, core.clock)
        watching = WatchLoop(arrivals, account, silence, figures.webhooks_silent.set)

        shares = LaneShares(TenantShares(HOT_SHARE), TenantShares(BULK_SHARE, troubles.rest))

        async def redis_answers() -> bool:
            try:
                return bool(await redis.ping())
            except (RedisError, OSError):
                return False

        try:
            yield Service(
                routers=[build_router(look, scans, organisations, shares, limiter.resume, core.events, publishing)],
                prefetch=PREFETCH,
                loops={"webhooks": watching},
                checks={"redis": redis_answers},
            )
        finally:
            await of_events.close()
            await of_requests.close()
            await organisations.close()
