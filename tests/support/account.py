"""A WhatsApp Business Account to manage: the sandbox in this process, its clock the test's, its webhooks kept."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from ingress.whatsapp import read_whatsapp
from notifier.adapters.whatsapp_templates import WhatsAppTemplates
from sandbox.app import create_app
from sandbox.client import Sandbox
from shared.contracts import Event
from shared.contracts.whatsapp import WhatsAppTemplateChangedV1, WhatsAppUpdateReceivedV1

ACCOUNT = "200000000000001"
_BASE = "http://sandbox"


@dataclass
class Account:
    sandbox: Sandbox
    management: WhatsAppTemplates
    http: httpx.AsyncClient
    clock: Callable[[], datetime]
    bodies: list[bytes] = field(default_factory=list)

    def news(self) -> list[WhatsAppTemplateChangedV1]:
        """What ingress makes of the webhooks that came since the last call."""
        return [event for event in self._events() if isinstance(event, WhatsAppTemplateChangedV1)]

    def updates(self) -> list[WhatsAppUpdateReceivedV1]:
        """The same of statuses and of what people write."""
        return [event for event in self._events() if isinstance(event, WhatsAppUpdateReceivedV1)]

    def _events(self) -> list[Event]:
        events = [event for body in self.bodies for event in read_whatsapp(body, self.clock()).events]
        self.bodies.clear()
        return events


@asynccontextmanager
async def business_account(clock: Callable[[], datetime]) -> AsyncIterator[Account]:
    bodies: list[bytes] = []

    def receive(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(200)

    app = create_app(httpx.AsyncClient(transport=httpx.MockTransport(receive)), clock)
    bearer = {"Authorization": "Bearer sandbox-whatsapp-token"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=_BASE, headers=bearer) as client:
        sandbox = Sandbox(_BASE, client)
        await sandbox.settings(whatsapp_webhook_url="http://ingress/webhooks/whatsapp")
        yield Account(sandbox, WhatsAppTemplates(client, version="v25.0", account=ACCOUNT), client, clock, bodies)
        await app.state.world.close()
