"""WhatsApp's webhook sender: verification, statuses and inbound messages, batched, retried, never promised in order."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from sandbox.delivery import Answer, post, retry_waits
from sandbox.whatsapp.graph import status_error
from sandbox.whatsapp.outbox import Message, new_wamid
from sandbox.whatsapp.payloads import Item, account_payload, encode, inbound_item, payload, sign, status_item

if TYPE_CHECKING:
    from sandbox.world import World

TIMEOUT = 10.0


@dataclass
class WhatsAppWebhooks:
    """The app's one callback address."""

    world: "World"
    waiting: list[Item] = field(default_factory=list)
    pumping: bool = False

    async def verify(self) -> dict[str, Any]:
        """The verification GET: the right token must echo the challenge with 200, a wrong one must not get 200."""
        token = self.world.settings.verify_token.get_secret_value()
        url, challenge = self.world.settings.whatsapp_webhook_url, str(secrets.randbelow(10**10))
        if url is None:
            return {"ok": False, "problems": ["no whatsapp_webhook_url is set"]}
        problems: list[str] = []
        statuses: list[int | None] = []
        for used in (token, f"{token}x"):
            query = {"hub.mode": "subscribe", "hub.verify_token": used, "hub.challenge": challenge}
            try:
                answer = await self.world.http.get(url, params=query, timeout=TIMEOUT)
            except httpx.HTTPError as error:
                problems.append(f"no answer: {type(error).__name__}")
                statuses.append(None)
                continue
            statuses.append(answer.status_code)
            if used == token and (answer.status_code, answer.text) != (200, challenge):
                problems.append("the right token did not return the challenge")
            if used != token and answer.status_code < 400:
                problems.append("a wrong token was accepted")
        self.world.journal.add("whatsapp.verification", statuses=statuses, problems=problems)
        return {"ok": not problems, "problems": problems, "statuses": statuses}

    def message_accepted(self, message: Message) -> None:
        """Let the automatic statuses follow, or the failure of a number that cannot be reached."""
        settings = self.world.settings
        if settings.message_status != "accepted":
            return
        if message.number in settings.undeliverable_numbers:
            self.world.spawn(self._follow(message, ["sent", "failed"]))
        elif settings.auto_statuses:
            self.world.spawn(self._follow(message, list(settings.auto_statuses)))

    def status(self, message: Message, status: str, at: datetime, error: dict[str, Any] | None = None) -> Item:
        """Note a status and make its webhook item; `error` has at least a code."""
        message.statuses.append(status)
        full = None if error is None else status_error(int(error.get("code", 131026)), "Made to fail") | error
        return status_item(message, status, at, self.world.settings, full)

    def inbound(
        self, number: str, text: str, name: str, context: str | None = None, button: dict[str, Any] | None = None
    ) -> tuple[Message, Item]:
        """A customer writes, which opens the conversation window."""
        message = Message(new_wamid(number), number, text, self.world.clock(), inbound=True)
        self.world.outbox.add(message)
        self.world.outbox.windows[number] = message.time
        self.world.journal.add("whatsapp.inbound", **{"from": number}, wamid=message.wamid, text=text)
        return message, inbound_item(message, name, self.world.settings, context, button)

    async def send(
        self, items: Sequence[Item], *, forged: bool = False, raw: bytes | None = None, retry: bool = False,
        per_change: int = 50,
    ) -> Answer:  # fmt: skip
        """POST one body now and return the answer; `retry` keeps trying in the background after a failure."""
        body = raw if raw is not None else encode(payload(items, self.world.settings, per_change))
        answer = await self._post(body, len(items), forged=forged)
        if retry and answer.status != 200 and self.world.settings.whatsapp_webhook_url is not None:
            self.world.spawn(self._retry(body, len(items)))
        return answer

    async def account_change(self, field: str, value: dict[str, Any]) -> Answer:
        """POST one change of the business account now; keeps trying in the background after a failure."""
        body = encode(account_payload(field, value, self.world.clock(), self.world.settings))
        answer = await self._post(body, 1, forged=False)
        if answer.status != 200:
            self.world.spawn(self._retry(body, 1))
        return answer

    def queue(self, item: Item) -> None:
        """Deliver soon, together with what else is waiting."""
        if self.world.settings.whatsapp_webhook_url is None:
            return
        self.waiting.append(item)
        if not self.pumping:
            self.pumping = True
            self.world.spawn(self._pump())

    async def _follow(self, message: Message, statuses: list[str]) -> None:
        for status in statuses:
            await asyncio.sleep(self.world.settings.auto_status_delay)
            self.queue(self.status(message, status, self.world.clock()))

    async def _pump(self) -> None:
        try:
            await asyncio.sleep(self.world.settings.webhook_delay)
            while self.waiting:
                settings, dice = self.world.settings, self.world.random
                if settings.whatsapp_shuffle:
                    dice.shuffle(self.waiting)
                batch = self.waiting[: settings.whatsapp_batch]
                del self.waiting[: len(batch)]
                for _ in range(2 if dice.random() < settings.whatsapp_duplicates else 1):
                    await self.send(batch, retry=True)
        finally:
            self.pumping = False

    async def _retry(self, body: bytes, count: int) -> None:
        settings = self.world.settings
        patience = timedelta(seconds=settings.whatsapp_disable_after * settings.webhook_time_scale)
        began = self.world.clock()
        for wait in retry_waits():
            await asyncio.sleep(wait * settings.webhook_time_scale)
            if (await self._post(body, count, forged=False)).status == 200:
                return
            if self.world.clock() - began >= patience:
                self.world.journal.add("whatsapp.webhook_dropped", items=count)
                return

    async def _post(self, body: bytes, count: int, *, forged: bool) -> Answer:
        settings = self.world.settings
        if settings.whatsapp_webhook_url is None:
            answer = Answer(None, 0, error="no whatsapp_webhook_url is set")
        else:
            signature = sign(settings.app_secret.get_secret_value(), body)
            if forged:
                last = "0" if signature[-1] != "0" else "1"
                signature = signature[:-1] + last
            headers = {"content-type": "application/json", "x-hub-signature-256": signature}
            answer = await post(self.world.http, settings.whatsapp_webhook_url, body, headers, TIMEOUT)
        self.world.journal.add("whatsapp.webhook", items=count, forged=forged, **answer.as_json())
        return answer
