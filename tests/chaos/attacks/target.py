"""What is attacked, with how much, and what came of it."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any
from uuid import UUID

from chaos.attacks.senders import Sender, meta, xero
from chaos.attacks.twilio_forgeries import Twilio
from chaos.attacks.wire import Answer

TWILIO_TOKEN = "an auth token"
"""Every door that is attacked is told it."""


class Due(StrEnum):
    """What a post has to be answered."""

    REFUSAL = "401"
    """401, with nothing in it."""
    NO = "no"
    """Anything but success and but the server's own failure, or an end of the connection."""
    YES = "200"
    """It is odd, and nevertheless its sender's."""


@dataclass
class Tally:
    """Of all posts of one way; ``bodies`` and ``cookies`` count answers that have one."""

    due: Due
    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    bodies: int = 0
    cookies: int = 0

    def add(self, answer: Answer) -> None:
        self.sent += 1
        self.answers[answer.word] += 1
        self.bodies += answer.body > 0
        self.cookies += answer.cookie

    def row(self) -> dict[str, Any]:
        return {
            "due": str(self.due),
            "sent": self.sent,
            "answers": dict(self.answers),
            "bodies": self.bodies,
            "cookies": self.cookies,
        }


@dataclass
class Target:
    """The door at ``port``, its senders with their keys, and ``count``, how much is thrown at it.

    ``twilio`` signs its address as well, so that only its own forgeries fit it.
    """

    port: int
    senders: tuple[Sender, Sender]
    dice: Random
    count: int
    seconds: float = 10.0
    twilio: Twilio = field(default_factory=lambda: Twilio(TWILIO_TOKEN))
    tallies: dict[str, Tally] = field(default_factory=dict)

    def tell(self, way: str, due: Due, answer: Answer) -> None:
        self.tallies.setdefault(way, Tally(due)).add(answer)

    def two(self) -> tuple[Sender, Sender]:
        """One of the senders, and the other."""
        one, other = self.senders
        return self.dice.choice([(one, other), (other, one)])

    def body(self, sender: Sender) -> bytes:
        """As the sender writes it, of nothing that exists."""
        one, other = (str(UUID(int=self.dice.getrandbits(128), version=4)) for _ in range(2))
        return _xero_body(one, other, self.dice) if sender.name == "xero" else _meta_body(one, self.dice)


def target(port: int, key: str, app_secret: str, seed: str, count: int, seconds: float = 10.0) -> Target:
    return Target(port, (xero(key), meta(app_secret)), Random(seed), count, seconds)


async def at_once(count: int, works: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """All of them, ``count`` at a time."""
    waiting = iter(works)

    async def work() -> None:
        for one in waiting:
            await one()

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(work())


def _xero_body(tenant: str, invoice: str, dice: Random) -> bytes:
    event = {
        "resourceUrl": f"https://api.xero.com/api.xro/2.0/Invoices/{invoice}",
        "resourceId": invoice,
        "eventDateUtc": "2026-06-23T11:59:58.000",
        "eventType": "CREATE",
        "eventCategory": "INVOICE",
        "tenantId": tenant,
        "tenantType": "ORGANISATION",
    }
    content = {"events": [event], "firstEventSequence": 1, "lastEventSequence": 1, "entropy": _entropy(dice)}
    return json.dumps(content, separators=(",", ":")).encode()


def _meta_body(message: str, dice: Random) -> bytes:
    status = {
        "id": f"wamid.{message}",
        "status": "delivered",
        "timestamp": "1782216000",
        "recipient_id": "919800000000",
    }
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1"}, "statuses": [status]}
    entry = {"id": _entropy(dice), "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, separators=(",", ":")).encode()


def _entropy(dice: Random) -> str:
    return "".join(dice.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=20))
