"""Twilio's webhook sender: one form for each status of a message, one for each message of a person, signed."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from sandbox.delivery import Answer, post
from sandbox.twilio.messages import CHANNEL, new_sid
from sandbox.whatsapp.outbox import Message

if TYPE_CHECKING:
    from sandbox.world import World

TIMEOUT = 15.0


def sign(token: str, url: str, form: Mapping[str, str]) -> str:
    """The `X-Twilio-Signature`."""
    text = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


@dataclass
class TwilioWebhooks:
    """Callbacks go where each message says; what people write goes to the number's own address."""

    world: "World"

    def message_accepted(self, message: Message) -> None:
        """Let the automatic statuses follow, or the failure of a number that cannot be reached."""
        settings = self.world.settings
        if message.number in settings.undeliverable_numbers:
            self.world.spawn(self._follow(message, ["sent", "undelivered"]))
        elif settings.auto_statuses:
            self.world.spawn(self._follow(message, ["queued", *settings.auto_statuses]))

    async def status(self, message: Message, status: str, code: int | None = None, *, forged: bool = False) -> Answer:
        """Give a message its next status and tell it."""
        message.statuses.append(status)
        settings = self.world.settings
        form = {
            "AccountSid": settings.twilio_account_sid,
            "MessageSid": message.wamid,
            "SmsSid": message.wamid,
            "MessageStatus": status,
            "SmsStatus": status,
            "From": f"{CHANNEL}{settings.twilio_number}",
            "To": f"{CHANNEL}{message.number}",
            "ChannelPrefix": "whatsapp",
            "ApiVersion": "2010-04-01",
            **({} if code is None else {"ErrorCode": str(code)}),
        }
        return await self._post(message.callback, form, forged=forged)

    async def inbound(
        self, number: str, text: str, name: str, context: str | None, payload: str | None, *, forged: bool = False
    ) -> tuple[Message, Answer]:
        """A customer writes or taps a button, which opens the conversation window."""
        world, settings = self.world, self.world.settings
        message = Message(new_sid(), number, text, world.clock(), inbound=True)
        world.outbox.add(message)
        world.outbox.windows[number] = message.time
        world.journal.add("twilio.inbound", **{"from": number}, sid=message.wamid, text=text)
        form = {
            "AccountSid": settings.twilio_account_sid,
            "MessageSid": message.wamid,
            "SmsStatus": "received",
            "From": f"{CHANNEL}{number}",
            "To": f"{CHANNEL}{settings.twilio_number}",
            "WaId": number.lstrip("+"),
            "ProfileName": name,
            "Body": text,
            "NumMedia": "0",
            **({} if payload is None else {"ButtonPayload": payload, "ButtonText": text}),
            **({} if context is None else {"OriginalRepliedMessageSid": context}),
        }
        return message, await self._post(settings.twilio_webhook_url, form, forged=forged)

    async def _follow(self, message: Message, statuses: list[str]) -> None:
        for status in statuses:
            await asyncio.sleep(self.world.settings.auto_status_delay)
            await self.status(message, status, 63024 if status == "undelivered" else None)

    async def _post(self, callback: str | None, form: dict[str, str], *, forged: bool) -> Answer:
        if callback is None:
            return Answer(None, 0, error="no address was given")
        url, _, overrides = callback.partition("#")
        token = self.world.settings.twilio_auth_token.get_secret_value()
        # Twilio signs the address that it was given, whatever it is forwarded to.
        signature = sign(token, url, form)
        if forged:
            signature = ("A" if signature[0] != "A" else "B") + signature[1:]
        headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}
        again = int(parse_qs(overrides).get("rc", ["0"])[0]) if "5xx" in overrides and not forged else 0
        query = urlsplit(url).query
        target = self.world.settings.twilio_forward_to or url.partition("?")[0]
        for _ in range(1 + again):
            where = f"{target}?{query}" if query else target
            answer = await post(self.world.http, where, urlencode(form).encode(), headers, TIMEOUT)
            self.world.journal.add(
                "twilio.webhook", status_told=form.get("MessageStatus"), forged=forged, **answer.as_json()
            )
            if answer.status is not None and answer.status < 500:
                break
        return answer
