"""Xero's webhook sender: handshake, batched at-least-once delivery, retries, and disabling of a dead endpoint."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from sandbox.delivery import Answer, post, retry_waits
from sandbox.xero.payloads import body_of, one_off, sign

if TYPE_CHECKING:
    from sandbox.world import World

Event = dict[str, Any]
MAX_AT_ONCE = 8


@dataclass
class XeroWebhooks:
    """The app's one subscription, shared by every organisation."""

    world: "World"
    status: Literal["unverified", "enabled", "refused", "disabled"] = "unverified"
    backlog: list[Event] = field(default_factory=list)
    sequence: int = 0
    failing_since: datetime | None = None
    pumping: bool = False
    lines: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_AT_ONCE))

    def queue(self, event: Event) -> None:
        """Deliver the event soon, with others that arrive meanwhile; kept while the subscription is off."""
        if self.world.settings.webhook_url is None:
            return
        self.backlog.append(event)
        self.wake()

    def wake(self) -> None:
        """Begin to deliver what waits, if the subscription allows."""
        if self.backlog and self._active() and not self.pumping:
            self.pumping = True
            self.world.spawn(self._pump())

    def url_changed(self) -> None:
        """A new address has proven nothing yet."""
        self.status, self.failing_since = "unverified", None

    async def handshake(self) -> dict[str, Any]:
        """Intent to receive: one right and three wrong signatures in random order, then the verdict."""
        dice = self.world.random
        forms: list[Literal["right", "wrong", "wrong case"]] = ["right", "wrong", "wrong", "wrong case"]
        dice.shuffle(forms)
        attempts: list[dict[str, Any]] = []
        problems: list[str] = []
        for form in forms:
            body = body_of([], 0, 0, dice)
            right = sign(self.world.settings.webhook_key.get_secret_value(), body)
            signature = right if form == "right" else one_off(right, dice, swap_case=form == "wrong case")
            answer = await self._post(body, signature, [], purpose="handshake", signature_is=form)
            problems += judge(answer, right=form == "right", limit=self.world.settings.webhook_timeout)
            attempts.append({"signature": form, **answer.as_json()})
        self.status = "enabled" if not problems else "refused"
        self.failing_since = None
        self.wake()
        return {"ok": not problems, "problems": sorted(set(problems)), "attempts": attempts, "status": self.status}

    async def send(
        self, events: Sequence[Event], *, forged: bool = False, raw: bytes | None = None, signature: str | None = None
    ) -> Answer:
        """POST one delivery now and return the answer; `raw` replaces the body, `forged` signs it wrongly."""
        body = raw if raw is not None else self._body(events)
        right = sign(self.world.settings.webhook_key.get_secret_value(), body)
        used = signature if signature is not None else one_off(right, self.world.random) if forged else right
        return await self._post(body, used, events, purpose="send", signature_is="right" if used == right else "wrong")

    def _active(self) -> bool:
        return self.status == "enabled" or (self.status == "unverified" and not self.world.settings.require_handshake)

    def _body(self, events: Sequence[Event]) -> bytes:
        first = self.sequence + 1
        self.sequence += len(events)
        return body_of(events, first, max(first, self.sequence), self.world.random)

    async def _pump(self) -> None:
        dice = self.world.random
        try:
            await asyncio.sleep(self.world.settings.webhook_delay)
            while self.backlog and self._active():
                settings = self.world.settings
                if settings.webhook_shuffle:
                    dice.shuffle(self.backlog)
                batch = self.backlog[: settings.webhook_batch]
                del self.backlog[: settings.webhook_batch]
                copies = 2 if dice.random() < settings.webhook_duplicates else 1
                body = self._body(batch)
                for _ in range(copies):
                    self.world.spawn(self._deliver(batch, body))
        finally:
            self.pumping = False

    async def _deliver(self, events: list[Event], body: bytes) -> None:
        for attempt, wait in enumerate(retry_waits(), start=1):
            # signed anew each time, because the key may have been changed meanwhile
            signature = sign(self.world.settings.webhook_key.get_secret_value(), body)
            async with self.lines:
                answer = await self._post(body, signature, events, purpose="delivery", attempt=attempt)
            if answer.ok:
                self.failing_since = None
                return
            self._failed()
            await asyncio.sleep(wait * self.world.settings.webhook_time_scale)
            if self.world.settings.webhook_url is None:
                return
            if not self._active():
                self.backlog += events
                return

    def _failed(self) -> None:
        now, settings = self.world.clock(), self.world.settings
        self.failing_since = self.failing_since or now
        patience = timedelta(seconds=settings.webhook_disable_after * settings.webhook_time_scale)
        if self.status != "disabled" and now - self.failing_since >= patience:
            self.status = "disabled"
            self.world.journal.add("xero.webhook_disabled", failing_since=self.failing_since.isoformat())

    async def _post(self, body: bytes, signature: str, events: Sequence[Event], **details: Any) -> Answer:
        settings = self.world.settings
        if settings.webhook_url is None:
            answer = Answer(None, 0, error="no webhook_url is set")
        else:
            headers = {"content-type": "application/json; charset=utf-8", "x-xero-signature": signature}
            answer = await post(self.world.http, settings.webhook_url, body, headers, settings.webhook_timeout)
        self.world.journal.add("xero.webhook", events=[_brief(item) for item in events], **details, **answer.as_json())
        return answer


def judge(answer: Answer, *, right: bool, limit: float) -> list[str]:
    """What Xero's portal would complain about in one handshake answer."""
    checks = [
        (right and answer.status != 200, "Response not 200"),
        (not right and answer.status != 401, "Response to incorrectly signed payload not 401"),
        (bool(answer.body), "Response contains a body"),
        (answer.sets_cookie, "Response contains cookies"),
        (answer.milliseconds > limit * 1000, "Response took too long"),
    ]
    return [complaint for failed, complaint in checks if failed]


def batches(events: Iterable[Event], size: int, copies: int, dice: random.Random | None) -> list[list[Event]]:
    """Events repeated `copies` times, shuffled when dice are given, cut into deliveries of `size`."""
    rows = [item for item in events for _ in range(copies)]
    if dice is not None:
        dice.shuffle(rows)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _brief(event: Event) -> dict[str, Any]:
    return {key: event.get(key) for key in ("tenantId", "resourceId", "eventCategory", "eventType", "eventDateUtc")}
