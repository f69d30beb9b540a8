"""Online links and PDFs against the sandbox: its journal says what they cost, its rules what was right."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from fetcher.adapters.calls import XeroCalls
from fetcher.adapters.documents import Documents
from fetcher.adapters.limiter import CallLimiter, Limits
from fetcher.adapters.link_cache import KEPT_SECONDS, REFUSED_SECONDS, RedisLinkCache
from fetcher.adapters.tokens import AccessTokens
from fetcher.adapters.xero import Xero
from fetcher.metrics import FetcherMetrics
from fetcher.online_links import OnlineLinks
from fetcher.ports import Link
from fetcher.purposes import Purpose
from fetcher.readings import Reading
from sandbox.client import Sandbox
from shared.contracts.invoices import Contact, Invoice
from shared.contracts.tokens import TokenAccessRequest, TokenGranted, TokenRefused
from shared.errors import RetryableError
from shared.runtime.clock import utc_now
from shared.runtime.redis import create_redis
from support.builders import make_enriched
from support.fetcher import Consent, sandbox_process

pytestmark = pytest.mark.integration

TODAY = datetime.now(UTC).date()


@dataclass
class Tokens:
    """The token-broker's answers without a broker between."""

    consent: Consent

    async def access(
        self, tenant_id: str, refused: str | None = None, forbidden: bool = False, timeout: float = 10.0
    ) -> TokenGranted | TokenRefused:
        return await self.consent.access(TokenAccessRequest(tenant_id=tenant_id, refused=refused, forbidden=forbidden))


@dataclass
class Stage:
    sandbox: Sandbox
    redis: Redis
    consent: Consent
    tenant_id: str
    http: httpx.AsyncClient
    limits: Limits = field(default_factory=lambda: Limits(60, 5, 5000))

    def calls(self) -> XeroCalls:
        """As in a fetcher that has just started."""
        limiter = CallLimiter(self.redis, self.limits)
        figures = FetcherMetrics(CollectorRegistry(), self.limits.per_day)
        return XeroCalls(self.http, AccessTokens(Tokens(self.consent), utc_now), limiter, utc_now, figures)

    def links(self) -> OnlineLinks:
        return OnlineLinks(
            Xero(self.calls(), lambda _: None, Purpose.SWEEP), RedisLinkCache(self.redis), lambda _: None
        )

    async def of(self, *rows: dict[str, Any], status: str = "AUTHORISED") -> list[Link]:
        readings = [reading(row["invoice_id"], status) for row in rows]
        found = [done.invoice async for done in self.links().added_to(self.tenant_id, readings)]
        return [Link(invoice.online_url, invoice.no_link_reason) for invoice in found]

    async def invoices(self, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
        rows = await self.sandbox.bulk(self.tenant_id, count, issue_date=TODAY, due_date=TODAY, **fields)
        await self.sandbox.clear_journal()
        return rows

    async def asked(self) -> list[int]:
        """The statuses with which the sandbox answered calls to the accounting API."""
        return [entry["status"] for entry in await self.sandbox.journal("xero") if "/api.xro/" in entry.get("path", "")]

    async def breaches(self) -> int:
        return int((await self.sandbox.summary())["breaches"])


def reading(invoice_id: str, status: str) -> Reading:
    known = make_enriched(invoice={"invoice_id": invoice_id, "status": status})
    invoice: Invoice = known.invoice
    contact: Contact = known.contact
    return Reading(invoice, contact, known.organisation, known.read_at)


@pytest.fixture
async def stage(redis_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with (
        sandbox_process(tmp_path) as sandbox,
        httpx.AsyncClient(trust_env=False, base_url=sandbox.base_url) as http,
        create_redis(redis_url) as redis,
    ):
        await sandbox.settings(auto_consent="allow")
        tenant = (await sandbox.organisation("Sharma Traders", country="IN"))["tenant_id"]
        consent = Consent(sandbox.base_url, http)
        await consent.given()
        yield Stage(sandbox, redis, consent, tenant, http)


async def test_a_link_is_asked_for_once_whoever_asks_and_however_often(stage: Stage) -> None:
    rows = await stage.invoices(5)
    found = await stage.of(*rows)
    assert [link.url for link in found] == [f"https://in.xero.com/{row['invoice_id'].replace('-', '')}" for row in rows]
    assert await stage.of(*rows) == found
    assert (await stage.asked(), await stage.breaches()) == ([200] * 5, 0)
    [key] = await stage.redis.keys(f"duebell:fetcher:link:{stage.tenant_id}:{rows[0]['invoice_id']}")
    assert KEPT_SECONDS - 60 < await stage.redis.ttl(key) <= KEPT_SECONDS


async def test_a_draft_costs_no_call_and_one_that_became_a_draft_one_refusal_a_day(stage: Stage) -> None:
    contact = await stage.sandbox.contact(stage.tenant_id)
    row = await stage.sandbox.invoice(stage.tenant_id, contact["contact_id"], status="DRAFT", issue_date=TODAY)
    await stage.sandbox.clear_journal()
    assert await stage.of(row, status="DRAFT") == [Link(reason="not_offered")]
    assert await stage.asked() == []
    assert await stage.of(row) == await stage.of(row) == [Link(reason="not_offered")]
    assert await stage.asked() == [400]
    [key] = await stage.redis.keys("duebell:fetcher:link:*")
    assert await stage.redis.ttl(key) <= REFUSED_SECONDS


async def test_what_xero_does_not_know_has_no_link(stage: Stage) -> None:
    unknown = {"invoice_id": "00000000-0000-4000-8000-000000000001"}
    assert await stage.of(unknown) == await stage.of(unknown) == [Link(reason="not_offered")]
    assert await stage.asked() == [404]


async def test_forbidden_is_said_once_and_nothing_is_kept(stage: Stage) -> None:
    rows = await stage.invoices(4)
    await stage.sandbox.disconnect(stage.tenant_id)
    await stage.sandbox.clear_journal()
    assert await stage.of(*rows) == [Link(reason="forbidden")] * 4
    assert await stage.asked() == [403]
    assert stage.consent.forbidden == 1
    assert await stage.redis.keys("duebell:fetcher:link:*") == []


async def test_an_outage_is_met_once_and_the_next_look_asks_again(stage: Stage) -> None:
    rows = await stage.invoices(3)
    await stage.sandbox.fault("/api.xro/*/OnlineInvoice", "status500")
    assert await stage.of(*rows) == [Link(reason="xero_unavailable")] * 3
    assert await stage.asked() == [500]
    assert all(link.url for link in await stage.of(*rows))


async def test_a_spent_day_costs_no_call_and_nothing_waits_for_it(stage: Stage) -> None:
    rows = await stage.invoices(4)
    stage.limits = Limits(60, 5, 2)
    found = await stage.of(*rows)
    assert [link.reason for link in found] == [None, None, "day_limit", "day_limit"]
    assert (await stage.asked(), await stage.breaches()) == ([200, 200], 0)


async def test_links_keep_the_limit_in_flight(stage: Stage) -> None:
    rows = await stage.invoices(6)
    await stage.sandbox.settings(concurrent_calls=1, xero_latency=0.02)
    stage.limits = Limits(60, 1, 5000)
    await stage.of(*rows)
    assert (await stage.asked(), await stage.breaches()) == ([200] * 6, 0)


async def test_an_invoice_is_printed_by_its_id_or_its_number(stage: Stage) -> None:
    [row] = await stage.invoices()
    documents = Documents(stage.calls())
    for name in (row["invoice_id"], row["invoice_number"]):
        content = await documents.pdf(stage.tenant_id, name)
        assert content is not None
        assert row["invoice_number"].encode() in content
    assert await documents.pdf(stage.tenant_id, "INV-no-such") is None
    assert (await stage.asked(), await stage.breaches()) == ([200, 200, 404], 0)


async def test_a_document_waits_for_no_spent_day(stage: Stage) -> None:
    [row] = await stage.invoices()
    stage.limits = Limits(60, 5, 1)
    documents = Documents(stage.calls())
    await documents.pdf(stage.tenant_id, row["invoice_id"])
    with pytest.raises(RetryableError, match="day_limit") as refused:
        await documents.pdf(stage.tenant_id, row["invoice_id"])
    assert refused.value.retry_after is not None
    assert refused.value.retry_after > timedelta(minutes=2).total_seconds()
    assert await stage.asked() == [200]
