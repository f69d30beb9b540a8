"""A running installation with the sandbox around it, and what a test does there."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from signal import Signals
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from deploy.commands import asked_of_service
from deploy.stack import ProcessStatus, Stack
from sandbox.client import Json, Sandbox
from support.waiting import eventually

ALWAYS = """
version: 1
defaults:
  alerts: {issued: true, paid: true}
  contact_hours: {start: "00:00", end: "24:00", days: [mon, tue, wed, thu, fri, sat, sun], holidays: false}
  scan_at: "23:59"
  brake: {hold_back_book: false, per_tenant_per_hour: 100000, per_installation_per_hour: 100000}
"""
LINKED = [f"11d0c5a5-0000-4000-8000-{number:012}" for number in range(3)]
"""Organisations whose messages show the invoice's page, where the policy says so."""


@contextmanager
def running_stack(
    folder: Path, *, scale: Mapping[str, int] | None = None, policy: str = ALWAYS, **variables: str
) -> Iterator[Stack]:
    """Servers, services and sandbox, all of them processes of their own, stopped afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    policy_file = folder / "policy.yaml"
    policy_file.write_text(policy)
    env = {"DUEBELL_POLICY_FILE": str(policy_file), "DUEBELL_LOG_LEVEL": "DEBUG", **variables}
    stack = Stack(folder, env, scale, sandbox=True, tied=True)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@dataclass
class Town:
    """``sandbox`` is the judge; ``http`` belongs to nobody in particular."""

    stack: Stack
    sandbox: Sandbox
    http: httpx.AsyncClient

    async def connect_link(self) -> str:
        return await self.command("connect-link")

    async def command(self, *arguments: str) -> str:
        """A command of the product; its standard output."""
        process = await asyncio.create_subprocess_exec(
            ".venv/bin/python",
            "-m",
            "deploy",
            *arguments,
            "--folder",
            str(self.stack.folder),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        assert process.returncode == 0, err.decode()[-2000:]
        return out.decode().strip()

    async def organisation(self, user: str | None = None, **fields: Any) -> str:
        """The tenant id of an organisation that ``user`` has connected, or the one who connects all others."""
        tenant = (await self.sandbox.organisation(**fields))["tenant_id"]
        # What the command says, without the seconds that the command takes.
        link = await asyncio.to_thread(asked_of_service, self.stack, "token-broker", "token_broker.link", [])
        to_login = await self.http.get(link)
        who: dict[str, Any] = {"user": user} if user else {}
        back = await self.sandbox.consent(to_login.headers["location"], organisations=[tenant], **who)
        page = await self.http.get(back)
        assert page.status_code == 200, page.text
        return str(tenant)

    async def invoices(self, tenant: str, count: int, **fields: Any) -> list[Json]:
        """Issued today, each for a contact of its own, and nobody told of it yet; no reminder is due for weeks."""
        return await self.sandbox.bulk(tenant, count, issue_date=today(), due_date=next_month(), **fields)

    async def sent(self) -> Counter[str]:
        """Invoice number → messages accepted for it."""
        rows = await self.sandbox.messages()
        return Counter(row["parameters"].get("invoice_number", "") for row in rows if row["parameters"])

    async def texts(self) -> list[str]:
        """What was written to customers without a template."""
        return [row["text"] for row in await self.sandbox.messages() if not (row["inbound"] or row["parameters"])]

    async def decisions(self, tenant: str) -> list[Json]:
        rows: list[Json] = json.loads(await self.command("why", tenant, "--json"))
        return rows

    def logs(self) -> dict[str, str]:
        """File name → everything the services wrote."""
        return {path.name: path.read_text(errors="replace") for path in self.stack.logs.glob("*-[0-9]*.log")}

    def process(self, service: str, replica: int = 1) -> ProcessStatus:
        return next(p for p in self.stack.processes() if (p.service, p.replica) == (service, replica))

    async def kill(self, service: str, signal: Signals) -> None:
        """Signal a process and return once another runs in its place and is ready."""
        before = self.process(service).pid
        self.stack.kill(service, signal)
        await eventually(lambda: self.process(service).pid not in {0, before}, seconds=60, what=f"another {service}")
        await asyncio.to_thread(self.stack.wait_ready)

    async def handled(self, queue: str) -> int:
        """How many messages of the queue the running replicas have finished, by their own count."""
        service = queue.partition(".")[0]
        total = 0.0
        for process in self.stack.processes():
            if process.service == service:
                text = (await self.http.get(f"{process.url}/metrics")).text
                total += sum(
                    float(line.rpartition(" ")[2])
                    for line in text.splitlines()
                    if line.startswith("duebell_messages_processed_total{") and f'queue="{queue}"' in line
                )
        return int(total)

    async def dead_letters(self) -> list[Json]:
        return [json.loads(line) for line in (await self.command("dlq-list")).splitlines()]


def next_month() -> date:
    """Beyond every reminder stage, so that a scan of the scheduler's own adds no message to a test's count."""
    return today() + timedelta(days=30)


def today(zone: str = "Asia/Kolkata") -> date:
    """The organisation's own date."""
    return datetime.now(ZoneInfo(zone)).date()


@asynccontextmanager
async def visit(stack: Stack) -> AsyncIterator[Town]:
    async with Sandbox(stack.url("sandbox")) as sandbox, httpx.AsyncClient(trust_env=False, timeout=20) as http:
        yield Town(stack, sandbox, http)
