"""What a tenant's flood costs the others: their waits alone and beside it; the sandbox counts calls and breaches."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import aio_pika
import httpx
from aio_pika.abc import AbstractIncomingMessage

from deploy.demo.world import World
from deploy.stack import Stack
from sandbox.client import Sandbox

KEY = secrets.token_hex(16)
FLOOD = 5000
EVENTS_EACH = 100
QUIET = 20
EVERY = 1.0
"""Seconds between two events of quiet tenants; far below what one of them may ask."""
ALONE = 60
"""Events of quiet tenants before the flood; as many as come beside it take part in the second measurement."""
LONGEST_SECONDS = 600.0


@dataclass
class Arrivals:
    """Invoice → when it was first published."""

    at: dict[str, float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def note(self, message: AbstractIncomingMessage) -> None:
        self.at.setdefault(json.loads(message.body)["invoice"]["invoice_id"], perf_counter())
        self.changed.set()

    async def all_of(self, invoices: Sequence[str]) -> None:
        async with asyncio.timeout(LONGEST_SECONDS):
            while not self.at.keys() >= set(invoices):
                self.changed.clear()
                await self.changed.wait()


@dataclass(frozen=True)
class Town:
    """``http`` stands for Xero's webhook sender; the first of ``tenants`` floods."""

    sandbox: Sandbox
    http: httpx.AsyncClient
    ingress: str
    tenants: list[str]
    arrivals: Arrivals

    async def invoices(self, tenant: str, count: int) -> list[str]:
        issued = datetime.now(UTC).date()
        rows = await self.sandbox.bulk(tenant, count, issue_date=issued, due_date=issued + timedelta(days=30))
        return [row["invoice_id"] for row in rows]

    async def announce(self, tenant: str, invoices: Sequence[str]) -> None:
        """One webhook, answered 200."""
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()
        events = [
            {
                "tenantId": tenant,
                "resourceId": invoice,
                "eventCategory": "INVOICE",
                "eventType": "CREATE",
                "eventDateUtc": now,
            }
            for invoice in invoices
        ]
        body = json.dumps({"events": events}).encode()
        key = KEY.encode()
        signature = base64.b64encode(hmac.digest(key, body, hashlib.sha256)).decode()
        url = f"{self.ingress}/webhooks/xero"
        (await self.http.post(url, content=body, headers={"x-xero-signature": signature})).raise_for_status()

    async def wait_of(self, tenant: str, invoice: str) -> float:
        """Seconds from the webhook's being sent to the invoice's being published."""
        began = perf_counter()
        await self.announce(tenant, [invoice])
        await self.arrivals.all_of([invoice])
        return self.arrivals.at[invoice] - began

    async def calls(self) -> dict[str, int]:
        """Of the flooding tenant: ``admitted`` and ``refused``."""
        counted: dict[str, int] = (await self.sandbox.summary())["calls_by_tenant"][self.tenants[0]]
        return counted


def measure() -> None:
    """Print the waits of both, and what the flooding tenant cost."""
    with tempfile.TemporaryDirectory(prefix="duebell-bench-") as folder:
        scale = {"ingress": 1, "token-broker": 1, "fetcher": 1, "scheduler": 0, "notifier": 0}
        stack = Stack(
            Path(folder),
            {"DUEBELL_XERO_WEBHOOK_KEYS": KEY},
            scale,
            sandbox=True,
            tied=True,
            say=lambda line: print(f"  {line}", file=sys.stderr),
        )
        try:
            stack.up()
            asyncio.run(_measure(stack))
        finally:
            stack.down()


async def _measure(stack: Stack) -> None:
    async with _town(stack) as town:
        # Each organisation is read once; that is no part of either wait.
        await _waits(town, QUIET, every=0.1)
        alone = await _waits(town, ALONE, every=EVERY)
        flood = await town.invoices(town.tenants[0], FLOOD)
        before = await town.calls()
        began = perf_counter()
        posting = asyncio.create_task(_post(town, flood))
        ended = asyncio.create_task(town.arrivals.all_of(flood))
        beside = await _waits(town, None, every=EVERY, until=ended)
        await posting
        took = perf_counter() - began
        after = await town.calls()
        breaches = (await town.sandbox.summary())["breaches"]
    print(f"{'wait of a quiet tenant in s':<34}{'events':>7}{'p50':>8}{'p99':>8}{'longest':>9}")
    for name, seconds in (("alone", alone), (f"beside a flood of {FLOOD}", beside)):
        p50, p99 = _quantile(seconds, 50), _quantile(seconds, 99)
        print(f"{name:<34}{len(seconds):>7}{p50:>8.2f}{p99:>8.2f}{max(seconds):>9.2f}")
    print(
        f"\nBeside the flood 99 of 100 wait {_quantile(beside, 99) - _quantile(alone, 99):.2f} s longer. "
        f"The flooding tenant's {FLOOD} events took {took:.0f} s and\n"
        f"{after['admitted'] - before['admitted']} calls ({after['refused'] - before['refused']} refused); "
        f"breaches of Xero's limits by anyone: {breaches}."
    )


async def _post(town: Town, flood: Sequence[str]) -> None:
    for start in range(0, len(flood), EVENTS_EACH):
        await town.announce(town.tenants[0], flood[start : start + EVENTS_EACH])


async def _waits(
    town: Town, count: int | None, *, every: float, until: "asyncio.Task[None] | None" = None
) -> list[float]:
    """Of one event after the other, the tenants in turn: ``count`` of them, or as many as come before ``until``."""
    asked: list[asyncio.Task[float]] = []
    while len(asked) != count and not (until and until.done()):
        tenant = town.tenants[1 + len(asked) % QUIET]
        [invoice] = await town.invoices(tenant, 1)
        asked.append(asyncio.create_task(town.wait_of(tenant, invoice)))
        if until:
            await asyncio.wait([until], timeout=every)
        else:
            await asyncio.sleep(every)
    if until:
        await until
    return list(await asyncio.gather(*asked))


@asynccontextmanager
async def _town(stack: Stack) -> AsyncIterator[Town]:
    connection = await aio_pika.connect(stack.amqp_admin_url)
    async with (
        Sandbox(stack.url("sandbox")) as sandbox,
        httpx.AsyncClient(trust_env=False, timeout=30) as http,
        connection,
        connection.channel() as channel,
    ):
        arrivals = Arrivals()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind("duebell.events", "invoice.enriched.v1")
        await queue.consume(arrivals.note, no_ack=True)
        tenants = [
            str((await sandbox.organisation(f"Organisation {number}"))["tenant_id"]) for number in range(QUIET + 1)
        ]
        to_login = await http.get(await World(stack, sandbox, http).command("connect-link"))
        back = await sandbox.consent(to_login.headers["location"], organisations=tenants)
        (await http.get(back)).raise_for_status()
        yield Town(sandbox, http, stack.url("ingress"), tenants, arrivals)


def _quantile(seconds: Sequence[float], percent: int) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]
