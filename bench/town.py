"""Organisations in the sandbox, connected to a running installation, and what becomes of their invoices."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter

import aio_pika
import httpx
from aio_pika.abc import AbstractIncomingMessage

from bench.webhooks import PATH, body_of, headers_of
from deploy.demo.world import World, eventually
from deploy.stack import Stack
from sandbox.client import Json, Sandbox

LONGEST_SECONDS = 900.0
AT_ONCE = 4
"""Connections of Xero's webhook sender."""


@dataclass
class Arrivals:
    """Invoice → when it was first published."""

    at: dict[str, float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def note(self, message: AbstractIncomingMessage) -> None:
        self.at.setdefault(json.loads(message.body)["invoice"]["invoice_id"], perf_counter())
        self.changed.set()

    async def all_of(self, invoices: Iterable[str]) -> float:
        """Return when every one was published, with when the last of them was."""
        missing = set(invoices)
        last = 0.0
        async with asyncio.timeout(LONGEST_SECONDS):
            while True:
                self.changed.clear()
                come = missing & self.at.keys()
                last = max([last, *(self.at[invoice] for invoice in come)])
                missing -= come
                if not missing:
                    return last
                await self.changed.wait()


@dataclass(frozen=True)
class Town:
    """``http`` stands for Xero's webhook sender and for people's browsers."""

    stack: Stack
    sandbox: Sandbox
    http: httpx.AsyncClient
    arrivals: Arrivals

    async def connected(self, count: int) -> list[str]:
        """New organisations of one person; returns when each was read, as happens once a day."""
        tenants = [str((await self.sandbox.organisation(f"Organisation {n}"))["tenant_id"]) for n in range(count)]
        to_login = await self.http.get(await World(self.stack, self.sandbox, self.http).command("connect-link"))
        back = await self.sandbox.consent(to_login.headers["location"], organisations=tenants)
        (await self.http.get(back)).raise_for_status()

        async def are_read() -> bool:
            return {call["tenant"] for call in await self.calls(tenants)} >= set(tenants)

        await eventually("organisations are read", are_read, LONGEST_SECONDS)
        return tenants

    async def invoices(self, tenant: str, count: int) -> list[str]:
        """Issued today, each for a contact of its own that nobody has read, and not yet told of."""
        issued = datetime.now(UTC).date()
        rows = await self.sandbox.bulk(tenant, count, issue_date=issued, due_date=issued + timedelta(days=30))
        return [row["invoice_id"] for row in rows]

    async def announce(self, events: Sequence[tuple[str, str]]) -> None:
        """One webhook of (tenant, invoice), sent until it is answered 200."""
        body = body_of(events)
        url = self.stack.url("ingress") + PATH

        async def is_taken() -> bool:
            answer = await self.http.post(url, content=body, headers=headers_of(body))
            return answer.status_code != 503 and answer.raise_for_status().is_success

        await eventually("a webhook is taken", is_taken, LONGEST_SECONDS)

    async def announce_all(
        self, events: Sequence[tuple[str, str]], each: int, *, webhooks_per_second: float = 0
    ) -> None:
        """In webhooks of ``each`` events, as fast as they are answered or, where a rate is given, when they are due."""
        began = perf_counter()
        webhooks = enumerate([events[start : start + each] for start in range(0, len(events), each)])

        async def post() -> None:
            for number, webhook in webhooks:
                if webhooks_per_second:
                    await asyncio.sleep(max(0, began + number / webhooks_per_second - perf_counter()))
                await self.announce(webhook)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(post())

    async def wait_of(self, tenant: str, invoice: str) -> float:
        """Seconds from the webhook's being sent to the invoice's being published."""
        began = perf_counter()
        await self.announce([(tenant, invoice)])
        return await self.arrivals.all_of([invoice]) - began

    async def calls(self, of: Sequence[str]) -> list[Json]:
        """Every call for these tenants that Xero saw: ``tenant``, ``path``, ``query``, ``status``."""
        return [call for call in await self.sandbox.journal("xero.api") if call["tenant"] in of]

    async def breaches(self) -> int:
        return int((await self.sandbox.summary())["breaches"])


def kinds_of(calls: Iterable[Json]) -> Counter[str]:
    """How many calls of each kind: ``invoices``, ``contacts``, ``organisation``, ``others`` and ``refused``."""
    return Counter(_kind_of(call) for call in calls)


def _kind_of(call: Json) -> str:
    _, _, path = str(call["path"]).partition("2.0/")
    if call["status"] == 429:
        return "refused"
    if path.startswith("Invoices/") or (path == "Invoices" and "IDs" in call["query"]):
        return "invoices"
    return {"Contacts": "contacts", "Organisation": "organisation"}.get(path, "others")


@asynccontextmanager
async def visit(stack: Stack) -> AsyncIterator[Town]:
    """A town around the stack, without organisations yet."""
    connection = await aio_pika.connect(stack.amqp_admin_url)
    async with (
        Sandbox(stack.url("sandbox")) as sandbox,
        httpx.AsyncClient(trust_env=False, timeout=60) as http,
        connection,
        connection.channel() as channel,
    ):
        arrivals = Arrivals()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind("duebell.events", "invoice.enriched.v1")
        await queue.consume(arrivals.note, no_ack=True)
        yield Town(stack, sandbox, http, arrivals)
