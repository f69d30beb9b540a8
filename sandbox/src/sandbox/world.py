"""Everything one running sandbox holds, tied together."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.requests import Request

from sandbox.books import Books
from sandbox.faults import Faults
from sandbox.journal import Journal
from sandbox.limits import Limiter
from sandbox.settings import Settings
from sandbox.twilio.webhooks import TwilioWebhooks
from sandbox.whatsapp.outbox import Outbox
from sandbox.whatsapp.templates import Templates
from sandbox.whatsapp.webhooks import WhatsAppWebhooks
from sandbox.xero.identity import Identity
from sandbox.xero.webhooks import XeroWebhooks

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


@dataclass
class World:
    """The state of both doubles; `reset` puts it back to the beginning."""

    http: httpx.AsyncClient
    clock: Clock = utc_now
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin with empty books."""
        self.reset()

    def reset(self, settings: Settings | None = None) -> None:
        """Forget everything, stop what is under way, and take `settings` or the defaults."""
        for task in self.tasks:
            task.cancel()
        self.settings = settings or Settings()
        self.random = random.Random(self.settings.seed)
        self.journal = Journal(self.clock)
        self.books = Books(self.clock)
        self.limiter = Limiter()
        self.faults = Faults()
        self.identity = Identity(self.journal)
        self.templates = Templates.preloaded(self.clock)
        self.outbox = Outbox(self.clock)
        self.xero_webhooks = XeroWebhooks(self)
        self.whatsapp_webhooks = WhatsAppWebhooks(self)
        self.twilio_webhooks = TwilioWebhooks(self)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the requests until done, reset or shutdown."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def close(self) -> None:
        """Stop what is under way and close the outgoing connections."""
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.http.aclose()


def world_of(request: Request) -> World:
    """The world this request acts in."""
    world: World = request.app.state.world
    return world


def note(request: Request, **details: Any) -> None:
    """Add details to the journal entry of this request; `kind` replaces its kind."""
    request.scope.setdefault("sandbox.notes", {}).update(details)
