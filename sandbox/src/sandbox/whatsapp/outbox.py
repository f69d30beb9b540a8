"""Messages accepted, their statuses, uploaded media, conversation windows and send rates."""

import base64
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.settings import Settings
from sandbox.whatsapp.graph import GraphRefusalError


@dataclass(slots=True)
class Message:
    """One message, out or in; `number` is the customer's, in +E.164."""

    wamid: str
    number: str
    text: str
    time: datetime
    inbound: bool = False
    template: str | None = None
    language: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    reference: str | None = None
    statuses: list[str] = field(default_factory=list)
    callback: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For the admin API and the overview page."""
        return {
            "wamid": self.wamid,
            "number": self.number,
            "inbound": self.inbound,
            "template": self.template,
            "language": self.language,
            "parameters": self.parameters,
            "text": self.text,
            "biz_opaque_callback_data": self.reference,
            "statuses": self.statuses,
            "status": self.statuses[-1] if self.statuses else "",
            "time": self.time.isoformat(),
        }


@dataclass(slots=True)
class Outbox:
    """What WhatsApp holds for the one business number."""

    clock: Callable[[], datetime]
    messages: dict[str, Message] = field(default_factory=dict)
    media: dict[str, dict[str, Any]] = field(default_factory=dict)
    windows: dict[str, datetime] = field(default_factory=dict)
    second: deque[datetime] = field(default_factory=deque)
    pairs: dict[str, tuple[float, datetime]] = field(default_factory=dict)

    def add(self, message: Message) -> None:
        """Keep a message."""
        self.messages[message.wamid] = message

    def window_open(self, number: str) -> bool:
        """Whether the customer wrote within the last day."""
        return number in self.windows and self.clock() - self.windows[number] < timedelta(days=1)

    def pace(self, number: str, settings: Settings) -> None:
        """Count one message against throughput and pair rate; raises GraphRefusalError 130429 or 131056."""
        now = self.clock()
        while self.second and self.second[0] <= now - timedelta(seconds=1):
            self.second.popleft()
        if settings.messages_per_second and len(self.second) >= settings.messages_per_second:
            raise GraphRefusalError(130429, "Cloud API message throughput has been reached")
        if settings.pair_burst and settings.pair_seconds:
            tokens, last = self.pairs.get(number, (float(settings.pair_burst), now))
            tokens = min(settings.pair_burst, tokens + (now - last).total_seconds() / settings.pair_seconds)
            if tokens < 1:
                raise GraphRefusalError(131056, "Too many messages sent to this recipient in a short time")
            self.pairs[number] = (tokens - 1, now)
        self.second.append(now)


def new_wamid(number: str) -> str:
    """A message id of the real form; like the real one it contains the number."""
    digits = number.lstrip("+").encode()
    inner = (
        b"\x1d" + bytes([len(digits)]) + digits + b"\x15\x02\x00\x11\x18\x12" + secrets.token_hex(9).encode() + b"\x00"
    )
    return f"wamid.{base64.b64encode(inner).decode()}"
