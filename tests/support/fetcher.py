"""A sandbox process as the judge of the fetcher, and a token-broker that only hands out its tokens."""

import sys
from asyncio import create_subprocess_exec
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from faststream.rabbit import RabbitRouter
from pydantic import SecretStr

from sandbox.client import Sandbox
from shared.contracts.tokens import TokenAccessRequest, TokenGranted, TokenRefusal, TokenRefused
from shared.runtime.rpc import Replies, answer
from shared.topology import queues
from support.waiting import eventually

_BACK = "https://duebell.example/callback"
_SCOPES = "offline_access accounting.invoices.read accounting.contacts.read accounting.settings.read"


@asynccontextmanager
async def sandbox_process(folder: Path) -> AsyncIterator[Sandbox]:
    """A sandbox of its own process on a free port."""
    port_file = folder / "sandbox-port"
    process = await create_subprocess_exec(
        sys.executable, "-m", "sandbox", "--port", "0", "--port-file", str(port_file)
    )
    try:
        port = await eventually(lambda: port_file.exists() and port_file.read_text(), seconds=30, what="the sandbox")
        async with Sandbox(f"http://127.0.0.1:{port}") as sandbox:
            yield sandbox
    finally:
        process.terminate()
        await process.wait()


@dataclass
class Consent:
    """One user's consent to everything in the sandbox: answers the fetcher's questions for tokens."""

    url: str
    client: httpx.AsyncClient
    refresh_token: str = ""
    access_token: str = ""
    unknown: set[str] = field(default_factory=set)
    lost: bool = False
    """Whether an organisation that Xero forbids is told to be disconnected."""
    forbidden: int = 0
    asked: int = 0

    async def given(self) -> None:
        """Consent for all organisations there are."""
        query = {"response_type": "code", "client_id": "sandbox-client", "redirect_uri": _BACK, "scope": _SCOPES}
        answer = await self.client.get(f"{self.url}/identity/connect/authorize?{urlencode({**query, 'state': 's'})}")
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        await self._token({"grant_type": "authorization_code", "code": code, "redirect_uri": _BACK})

    async def access(self, request: TokenAccessRequest) -> TokenGranted | TokenRefused:
        """As the token-broker answers."""
        self.asked += 1
        if request.tenant_id in self.unknown:
            return TokenRefused(reason=TokenRefusal.UNKNOWN_TENANT)
        self.forbidden += request.forbidden
        if self.lost and request.forbidden:
            return TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)
        if request.refused:
            await self._token({"grant_type": "refresh_token", "refresh_token": self.refresh_token})
        return TokenGranted(
            access_token=SecretStr(self.access_token), expires_at=datetime.now(UTC) + timedelta(minutes=30)
        )

    def router(self, replies: Replies) -> RabbitRouter:
        router = RabbitRouter()
        answer(router, queues.TOKEN_BROKER_TOKEN_ACCESS, TokenAccessRequest, self.access, replies)
        return router

    async def _token(self, form: dict[str, Any]) -> None:
        answer = await self.client.post(
            f"{self.url}/connect/token", data=form, auth=("sandbox-client", "sandbox-secret")
        )
        answer.raise_for_status()
        self.access_token, self.refresh_token = answer.json()["access_token"], answer.json()["refresh_token"]
