"""What the demo can see and do: the running stack, the sandbox, and a person's browser."""

import asyncio
import json
import os
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import httpx

from deploy.commands import environment_of
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

    async def run(self, service: str, module: str, *arguments: str) -> str:
        """A command of the product, as ``make`` runs it; its output."""
        done = await asyncio.to_thread(
            subprocess.run,
            [str(PYTHON), "-P", "-m", module, *arguments],
            env={**os.environ, **environment_of(self.stack, service)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise NotSeen(f"{module} failed: {done.stderr.strip()[-300:]}")
        return done.stdout.strip()

    async def why(self) -> list[Json]:
        """Every decision, newest state included."""
        answers: list[Json] = json.loads(await self.run("notifier", "notifier.why", self.tenant_id, "--json"))
        return answers

    async def sent(self) -> list[Json]:
        """The messages WhatsApp accepted from us, oldest first."""
        return [row for row in await self.sandbox.messages() if row["direction"] == "out"]

    async def sent_for(self, invoice_number: str) -> list[Json]:
        return [row for row in await self.sent() if invoice_number in row["text"]]


async def eventually(
    what: str, condition: Callable[[], Awaitable[T]], seconds: float = DEADLINE_SECONDS
) -> T:
    """The first truthy result; raises NotSeen naming ``what`` when there is none in time."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        result = await condition()
        if result:
            return result
        if asyncio.get_running_loop().time() > end:
            raise NotSeen(f"{what}: not within {seconds:.0f} s")
        await asyncio.sleep(0.1)


Fields = dict[str, Any]
