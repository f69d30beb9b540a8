"""What the demo can see and do: the running stack, the sandbox, and a person's browser."""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import httpx

from deploy.paths import PYTHON, ROOT
from deploy.stack import Stack
from sandbox.client import Json, Sandbox

T = TypeVar("T")
ZONE = ZoneInfo("Asia/Kolkata")
DEADLINE_SECONDS = 30.0


class NotSeen(Exception):  # noqa: N818 - what happened
    """Something that should have happened did not, in time."""


@dataclass
class World:
    """One organisation in one running stack."""

    stack: Stack
    sandbox: Sandbox
    browser: httpx.AsyncClient
    tenant_id: str = ""

    def today(self) -> datetime:
        return datetime.now(ZONE)

    async def command(self, *arguments: str) -> str:
        """One of the product's own commands, as ``make`` calls it; its output."""
        done = await asyncio.to_thread(
            subprocess.run,
            [str(PYTHON), "-P", "-m", "deploy", *arguments, "--folder", str(self.stack.folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise NotSeen(f"{arguments[0]}: {done.stderr.strip()[-300:]}")
        return done.stdout.strip()

    async def why(self) -> list[Json]:
        """Every decision and where its message stands now."""
        answers: list[Json] = json.loads(await self.command("why", self.tenant_id, "--json"))
        return answers

    async def sent(self) -> list[Json]:
        """The messages that WhatsApp accepted from us, oldest first."""
        return [row for row in await self.sandbox.messages() if not row["inbound"]]

    async def sent_for(self, invoice_number: str) -> list[Json]:
        return [row for row in await self.sent() if row["parameters"].get("invoice_number") == invoice_number]


async def eventually(what: str, condition: Callable[[], Awaitable[T]], seconds: float = DEADLINE_SECONDS) -> T:
    """The first truthy result; raises NotSeen naming ``what`` when there is none in time."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        result = await condition()
        if result:
            return result
        if asyncio.get_running_loop().time() > end:
            raise NotSeen(f"{what}: not within {seconds:.0f} s")
        await asyncio.sleep(0.1)
