"""What the sandbox's tests play with: a clock, a receiver of webhooks, and a client of both sides."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from starlette.applications import Starlette

from sandbox.client import Sandbox

BASE = "http://sandbox"
CALLBACK = "http://localhost:8081/callback"
SCOPES = "openid offline_access accounting.invoices.read accounting.contacts.read accounting.settings.read"
CLIENT = ("sandbox-client", "sandbox-secret")
BEARER = {"authorization": "Bearer sandbox-whatsapp-token"}


@dataclass
class Clock:
    """A clock that moves when told."""

    now: datetime = datetime(2026, 6, 23, 6, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Receiver:
    """A webhook endpoint as it should be; `status` makes it fail, `change` alters its good answers."""

    key: str = "sandbox-webhook-key"
    status: int | None = None
    change: Callable[[httpx.Response], httpx.Response] = lambda response: response
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.method == "GET":
            right = request.url.params["hub.verify_token"] == "sandbox-verify-token"
            return httpx.Response(200, text=request.url.params["hub.challenge"]) if right else httpx.Response(403)
        if self.status is not None:
            return httpx.Response(self.status)
        digest = base64.b64encode(hmac.new(self.key.encode(), request.content, hashlib.sha256).digest()).decode()
        if "x-xero-signature" in request.headers and request.headers["x-xero-signature"] != digest:
            return httpx.Response(401)
        return self.change(httpx.Response(200))

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests if request.method == "POST"]


@dataclass
class Double:
    """Everything a test needs to play both sides."""

    app: Starlette
    http: httpx.AsyncClient
    admin: Sandbox
    clock: Clock
    receiver: Receiver

    async def authorize(self, **changes: str) -> httpx.Response:
        query = {
            "response_type": "code",
            "client_id": CLIENT[0],
            "redirect_uri": CALLBACK,
            "scope": SCOPES,
            "state": "s+ /=",
        }
        return await self.http.get("/identity/connect/authorize", params=query | changes)

    async def code(self, **changes: str) -> str:
        await self.admin.settings(auto_consent="allow")
        location = (await self.authorize(**changes)).headers["location"]
        return parse_qs(urlsplit(location).query)["code"][0]

    async def token(self, **form: str) -> httpx.Response:
        return await self.http.post("/connect/token", data=form, auth=CLIENT)

    async def tokens(self, **changes: str) -> dict[str, Any]:
        code = await self.code(**changes)
        answer = await self.token(grant_type="authorization_code", code=code, redirect_uri=CALLBACK)
        body: dict[str, Any] = answer.json()
        return body

    async def refresh(self, token: str) -> httpx.Response:
        return await self.token(grant_type="refresh_token", refresh_token=token)

    async def connect(self, tenant_id: str) -> dict[str, str]:
        tokens = await self.tokens()
        return {
            "authorization": f"Bearer {tokens['access_token']}",
            "xero-tenant-id": tenant_id,
            "accept": "application/json",
        }

    async def breaches(self) -> list[str]:
        return [entry["rule"] for entry in await self.admin.journal("xero.breach")]
