"""The whole fetcher against the sandbox, which judges: what was asked, how often, and by which rules."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aio_pika.abc import AbstractIncomingMessage
from pydantic import SecretStr

from fetcher.adapters.cursors import RedisCursors
from fetcher.adapters.limiter import CallLimiter, Limits
from fetcher.adapters.permits import Limit
from fetcher.adapters.webhook_records import RedisWebhookRecords
from fetcher.app import create_app
from fetcher.settings import FetcherSettings
from fetcher.versions import Version
from sandbox.client import Sandbox
from shared.contracts import (
    ConnectionEstablishedV1,
    InvoiceEnrichedV1,
    InvoiceLookRequestedV1,
    OrganisationReadV1,
    ScanRequestedV1,
    XeroEventReceivedV1,
)
from shared.contracts.invoices import CauseKind
from shared.contracts.scans import ScanKind
from shared.errors import RetryableError
from shared.runtime.dead_letters import ATTEMPT, FIRST_SEEN, REASON
from shared.runtime.publisher import Outgoing
from shared.runtime.redis import create_redis
from shared.runtime.rpc import Replies
from shared.runtime.service import Stop, running
from shared.topology import exchanges, queues
from support.broker import Broker, consuming, open_broker
from support.fetcher import Consent, sandbox_process
from support.waiting import eventually

pytestmark = pytest.mark.integration

TODAY = datetime.now(UTC).date()


@dataclass
class Stage:
    """A running fetcher between a broker and a sandbox with one connected organisation."""

    broker: Broker
    sandbox: Sandbox
    consent: Consent
    tenant_id: str
    enriched: "asyncio.Queue[AbstractIncomingMessage]"

    async def event(self, resource_id: str, category: str = "INVOICE", tenant_id: str | None = None) -> None:
        now = datetime.now(UTC)
        await self.broker.events.publish(
            XeroEventReceivedV1(
                event_id="e",
                tenant_id=tenant_id or self.tenant_id,
                category=category,
                event_type="UPDATE",
                resource_id=resource_id,
                event_at=now,
                received_at=now,
            )
        )

    async def next(self, count: int, seconds: float = 20) -> list[InvoiceEnrichedV1]:
        async with asyncio.timeout(seconds):
            bodies = [(await self.enriched.get()).body for _ in range(count)]
        return [InvoiceEnrichedV1.model_validate_json(body) for body in bodies]

    async def calls(self) -> Counter[str]:
        """Xero's calls by the last part of their path."""
        entries = await self.sandbox.journal("xero")
        return Counter(_title(entry["path"]) for entry in entries if "/api.xro/" in entry.get("path", ""))

    async def breaches(self) -> int:
        return int((await self.sandbox.summary())["breaches"])

    async def invoices(self, count: int) -> list[dict[str, Any]]:
        issued, due = TODAY - timedelta(days=60), TODAY - timedelta(days=30)
        rows = await self.sandbox.bulk(self.tenant_id, count, issue_date=issued, due_date=due)
        await self.sandbox.clear_journal()
        return rows


def _title(path: str) -> str:
    parts = path.split("/")[3:]
    return parts[0] if len(parts) == 1 else f"{parts[0]}/id"


@pytest.fixture
async def stage(amqp_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with sandbox_process(tmp_path) as sandbox, httpx.AsyncClient(trust_env=False) as http:
        await sandbox.settings(auto_consent="allow")
        organisation = await sandbox.organisation("Sharma Traders", country="IN")
        consent = Consent(sandbox.base_url, http)
        await consent.given()
        async with open_broker(amqp_url) as broker:
            enriched = await broker.collect(exchanges.EVENTS, InvoiceEnrichedV1.key)
            router = consent.router(Replies(broker.events))
            async with consuming(broker, router, service="token-broker"), _fetcher(amqp_url, redis_url, sandbox):
                yield Stage(broker, sandbox, consent, organisation["tenant_id"], enriched)


@asynccontextmanager
async def _fetcher(amqp_url: str, redis_url: str, sandbox: Sandbox) -> AsyncIterator[None]:
    settings = FetcherSettings(
        amqp_url=SecretStr(amqp_url), redis_url=SecretStr(redis_url), fetcher_port=0, xero_api_url=sandbox.base_url
    )
    async with running("fetcher", settings, create_app, Stop()):
        yield


async def test_one_event_costs_one_call_beside_the_organisation(stage: Stage) -> None:
    [row] = await stage.invoices(1)
    await stage.event(row["invoice_id"])
    [first] = await stage.next(1)
    assert (first.invoice.invoice_id, first.contact.phone) == (row["invoice_id"], row["phone"])
    assert first.organisation.time_zone == "Asia/Kolkata"
    await stage.event(row["invoice_id"])
    await stage.next(1)
    assert await stage.calls() == {"Organisation": 1, "Invoices/id": 2}
    read = await stage.broker.take(queues.SCHEDULER_ORGANISATION_READ.name)
    assert OrganisationReadV1.model_validate_json(read.body).tenant_id == stage.tenant_id


async def test_a_wave_of_events_costs_few_calls_and_breaks_no_rule(stage: Stage) -> None:
    rows = await stage.invoices(120)
    await asyncio.gather(*(stage.event(row["invoice_id"]) for row in rows for _ in range(2)))
    enriched = await stage.next(240)
    assert {event.invoice.invoice_id: event.contact.phone for event in enriched} == {
        row["invoice_id"]: row["phone"] for row in rows
    }
    calls = await stage.calls()
    assert calls.total() <= 16, calls
    assert await stage.breaches() == 0


async def test_a_scan_and_a_reconcile_find_everything(stage: Stage) -> None:
    rows = await stage.invoices(130)
    await stage.broker.events.publish(_scan(stage, ScanKind.RECEIVABLES, TODAY))
    scanned = await stage.next(130)
    assert {event.invoice.invoice_id for event in scanned} == {row["invoice_id"] for row in rows}
    assert await stage.calls() == {"Organisation": 1, "Invoices": 1, "Contacts": 3}
    await stage.sandbox.pay(rows[0]["invoice_id"], event=False)
    await stage.broker.events.publish(_scan(stage, ScanKind.RECONCILE))
    reconciled = await stage.next(130)
    assert {event.invoice.status for event in reconciled} == {"AUTHORISED", "PAID"}
    assert await stage.calls() == {"Organisation": 1, "Invoices": 2, "Contacts": 3}
    assert await stage.breaches() == 0


async def test_a_changed_number_is_read_before_sending_and_by_all_after_its_event(stage: Stage) -> None:
    rows = await stage.invoices(2)
    ids = tuple(row["invoice_id"] for row in rows)
    scan = _scan(stage, ScanKind.RECEIVABLES, TODAY)
    look = InvoiceLookRequestedV1(tenant_id=stage.tenant_id, invoice_ids=ids, reason="before_send")
    await stage.broker.events.publish(scan)
    found = {event.invoice.invoice_id: event for event in await stage.next(2)}
    contact_id = found[ids[0]].contact.contact_id
    await stage.sandbox.change_contact(contact_id, phone="+919811122233", event=False)
    await stage.broker.events.publish(look)
    assert (await _phones(stage))[ids[0]] == "+919811122233"
    await stage.sandbox.change_contact(contact_id, phone="+919811122244", event=False)
    await stage.event(contact_id, "CONTACT")
    await eventually(lambda: _is_empty(stage, queues.FETCHER_XERO_EVENT_RECEIVED.name))
    await stage.broker.events.publish(scan)
    assert (await _phones(stage))[ids[0]] == "+919811122244"


async def test_an_expired_token_is_replaced_without_losing_the_event(stage: Stage) -> None:
    rows = await stage.invoices(2)
    await stage.event(rows[0]["invoice_id"])
    await stage.next(1)
    await stage.sandbox.expire_tokens()
    await stage.event(rows[1]["invoice_id"])
    await stage.next(1)
    assert stage.consent.asked == 2


@pytest.mark.parametrize("effect", ["cut", "reset", "html", "status429", "status503"])
async def test_a_fault_of_xeros_delays_and_loses_nothing(stage: Stage, effect: str) -> None:
    [row] = await stage.invoices(1)
    await stage.sandbox.fault("/api.xro/2.0/Invoices/*", effect, times=1)
    await stage.event(row["invoice_id"])
    assert [event.invoice.invoice_id for event in await stage.next(1)] == [row["invoice_id"]]


async def test_what_can_never_be_read_is_kept_with_its_reason(stage: Stage) -> None:
    stage.consent.unknown.add("nobody")
    await stage.event("00000000-0000-4000-8000-000000000001", tenant_id="nobody")
    await stage.event("00000000-0000-4000-8000-000000000001")
    await stage.event("x", "QUOTE")
    dead = [await stage.broker.take("fetcher.dead") for _ in range(3)]
    assert {message.headers[REASON] for message in dead} == {"unknown_tenant", "invoice_not_found", "unknown_category"}


async def test_a_look_at_invoices_that_xero_does_not_know_is_one_dead_letter_behind_the_others(stage: Stage) -> None:
    known = [row["invoice_id"] for row in await stage.invoices(2)]
    unknown = [f"00000000-0000-4000-8000-{number:012d}" for number in range(3)]
    ids = (unknown[0], known[0], unknown[1], known[1], unknown[2])
    await stage.broker.events.publish(
        InvoiceLookRequestedV1(tenant_id=stage.tenant_id, invoice_ids=ids, reason="before_send")
    )
    dead = await stage.broker.take("fetcher.dead")
    assert dead.headers[REASON] == "invoice_not_found"
    assert {event.invoice.invoice_id for event in await stage.next(2)} == set(known)
    assert await stage.broker.depth("fetcher.dead") == 0


async def test_a_new_connection_makes_the_organisation_known(stage: Stage) -> None:
    await stage.broker.events.publish(
        ConnectionEstablishedV1(tenant_id=stage.tenant_id, tenant_name="x", connected_at=datetime.now(UTC))
    )
    read = await stage.broker.take(queues.SCHEDULER_ORGANISATION_READ.name)
    assert OrganisationReadV1.model_validate_json(read.body).organisation.name == "Sharma Traders"


async def test_a_new_connection_ends_the_wait_for_consent_and_no_other(stage: Stage, redis_url: str) -> None:
    async with create_redis(redis_url) as redis:
        limiter = CallLimiter(redis, Limits(60, 5, 5000))
        await limiter.hold(stage.tenant_id, 300, Limit.CONSENT)
        await limiter.hold("another", 300, Limit.MINUTE)
        await limiter.resume("another")
        with pytest.raises(RetryableError, match="tenant_held"):
            async with limiter.permit("another"):
                pass
    await stage.broker.events.publish(
        ConnectionEstablishedV1(tenant_id=stage.tenant_id, tenant_name="x", connected_at=datetime.now(UTC))
    )
    read = await stage.broker.take(queues.SCHEDULER_ORGANISATION_READ.name)
    assert OrganisationReadV1.model_validate_json(read.body).tenant_id == stage.tenant_id


async def test_what_a_disconnected_organisation_needs_waits_uncounted_and_ever_less_often(stage: Stage) -> None:
    [row] = await stage.invoices(1)
    await stage.sandbox.disconnect(stage.tenant_id)
    stage.consent.lost = True
    await stage.event(row["invoice_id"])
    await eventually(lambda: stage.broker.depth("duebell.delay.60s"), what="a hold of a minute")
    asked = stage.consent.forbidden
    await stage.broker.events.send(_long_ago(stage, row["invoice_id"]))
    held = await stage.broker.take("duebell.delay.300s")
    assert (held.headers[REASON], held.headers[ATTEMPT]) == ("reconnect_needed", 0)
    assert (asked, stage.consent.forbidden) == (1, 2)
    assert await stage.broker.depth("fetcher.dead") == 0


async def test_a_reconnected_organisation_is_read_from_where_its_last_reconcile_ended(
    stage: Stage, redis_url: str
) -> None:
    await stage.broker.events.publish(_scan(stage, ScanKind.RECONCILE))
    async with create_redis(redis_url) as redis:
        await eventually(lambda: RedisCursors(redis).find(stage.tenant_id), what="the end of a reconcile")
    [row] = await stage.invoices(1)
    await stage.broker.events.publish(
        ConnectionEstablishedV1(tenant_id=stage.tenant_id, tenant_name="x", connected_at=datetime.now(UTC))
    )
    [found] = await stage.next(1)
    assert (found.invoice.invoice_id, found.cause.kind) == (row["invoice_id"], CauseKind.RECONCILE)


async def test_the_sweep_finds_a_due_date_that_was_moved_without_a_trace(stage: Stage, redis_url: str) -> None:
    """On a part-paid invoice neither a webhook nor ``UpdatedDateUTC`` tells of it."""
    [row] = await stage.invoices(1)
    identifier = row["invoice_id"]
    await stage.sandbox.change_invoice(identifier, event=False, due_date=str(TODAY + timedelta(days=60)))
    await stage.sandbox.pay(identifier, "1", event=False)
    await stage.broker.events.publish(_scan(stage, ScanKind.RECONCILE))
    [before] = await stage.next(1)
    async with create_redis(redis_url) as redis:
        cursors, passed = RedisCursors(redis), datetime.now(UTC) + timedelta(seconds=1)
        await eventually(lambda: cursors.find(stage.tenant_id), what="the end of a reconcile")
        await cursors.keep(stage.tenant_id, passed)
        moved_to = TODAY - timedelta(days=7)
        await stage.sandbox.change_invoice(identifier, due_date=str(moved_to))
        await stage.broker.events.publish(_scan(stage, ScanKind.RECONCILE))

        async def reconciled() -> bool:
            return await cursors.find(stage.tenant_id) != passed

        await eventually(reconciled, what="another reconcile")
    assert stage.enriched.empty()
    await stage.broker.events.publish(_scan(stage, ScanKind.RECEIVABLES, TODAY))
    [found] = await stage.next(1)
    assert (found.cause.kind, found.invoice.due_on) == (CauseKind.SCAN, moved_to)
    assert found.invoice.updated_at == before.invoice.updated_at


async def test_what_webhooks_led_to_is_written_down(stage: Stage, redis_url: str) -> None:
    [row] = await stage.invoices(1)
    await stage.event(row["invoice_id"])
    [enriched] = await stage.next(1)
    assert enriched.invoice.updated_at is not None
    version = Version(stage.tenant_id, row["invoice_id"], enriched.invoice.updated_at)
    async with create_redis(redis_url) as redis:
        records = RedisWebhookRecords(redis, lambda: datetime.now(UTC))

        async def written() -> bool:
            heard = await records.heard(stage.tenant_id, [version])
            return version in heard.read and bool(heard.told) and await records.heard_at() is not None

        await eventually(written, what="the account of a webhook")


def _long_ago(stage: Stage, invoice_id: str) -> Outgoing:
    """The event of an invoice as it comes off the delay ladder for the eighth time, an hour after its first."""
    now = datetime.now(UTC)
    event = XeroEventReceivedV1(
        event_id="e",
        tenant_id=stage.tenant_id,
        category="INVOICE",
        event_type="UPDATE",
        resource_id=invoice_id,
        event_at=now,
        received_at=now,
    )
    headers: dict[str, str | int] = {ATTEMPT: 7, FIRST_SEEN: (now - timedelta(hours=1)).isoformat()}
    queue = queues.FETCHER_XERO_EVENT_RECEIVED.name
    return Outgoing(event.model_dump_json().encode(), exchange="", routing_key=queue, headers=headers)


async def _phones(stage: Stage) -> dict[str, str | None]:
    """The numbers that the next two events tell, by invoice."""
    return {event.invoice.invoice_id: event.contact.phone for event in await stage.next(2)}


async def _is_empty(stage: Stage, queue: str) -> bool:
    return await stage.broker.depth(queue) == 0


def _scan(stage: Stage, kind: ScanKind, due_before: date | None = None) -> ScanRequestedV1:
    return ScanRequestedV1(tenant_id=stage.tenant_id, kind=kind, local_date=TODAY, due_before=due_before)
