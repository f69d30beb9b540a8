"""What the door costs on top of a confirmed publish, both measured now, on this machine."""

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import secrets
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika

from deploy.stack import Stack

KEY = secrets.token_hex(16)
PUBLISHES = 1000
WINDOW = 100
WEBHOOKS = 100
EVENTS_EACH = 10
CLIENTS = 16
TURNS = 15

Begin = Callable[[], Awaitable[float]]
"""Returns when a request's time has come, with that time."""


@dataclass(frozen=True)
class Door:
    """``events``: accepted per second; ``p50`` and ``p99``: milliseconds to the answer."""

    events: float
    p50: float
    p99: float


@dataclass(frozen=True)
class Sender:
    """Posts on connections that it keeps. An HTTP client would take half of what the door itself needs."""

    host: str
    port: int

    async def post(self, requests: Iterator[bytes], seconds: list[float], begin: Begin) -> None:
        """One request after the other, on one connection; ``begin`` says when the next one's time is."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        for request in requests:
            began = await begin()
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            seconds.append(perf_counter() - began)
            if not answer.startswith(b"HTTP/1.1 200 ") or b"content-length: 0\r\n" not in answer:
                raise RuntimeError(f"the door answered {answer[:12]!r}")
        writer.close()
        await writer.wait_closed()


def measure() -> None:
    """Print what the turns came to."""
    with tempfile.TemporaryDirectory(prefix="duebell-bench-") as folder:
        only_ingress = {"ingress": 1, "token-broker": 0, "fetcher": 0, "scheduler": 0, "notifier": 0}
        env = {
            "DUEBELL_XERO_WEBHOOK_KEYS": KEY,
            "DUEBELL_WHATSAPP_APP_SECRET": secrets.token_hex(16),
            "DUEBELL_WHATSAPP_VERIFY_TOKEN": secrets.token_hex(16),
        }
        stack = Stack(Path(folder), env, only_ingress, tied=True, say=lambda line: print(f"  {line}", file=sys.stderr))
        try:
            stack.up()
            asyncio.run(_measure(stack))
        finally:
            stack.down()


async def _measure(stack: Stack) -> None:
    """In short turns, one right after the other: what else the machine does then slows both."""
    raws, doors, waits = [], [], []
    ingress = stack.url("ingress")
    await _raw_publishes(stack.amqp_admin_url)
    await _webhooks(ingress)
    for _ in range(TURNS):
        raws.append(await _raw_publishes(stack.amqp_admin_url))
        door = await _webhooks(ingress)
        doors.append(door.events)
        # Half of what raw publishing came to just now, and what the door then takes to answer.
        waits.append(await _webhooks(ingress, rate=raws[-1] / 2))
    ratios = [door / raw for door, raw in zip(doors, raws, strict=True)]
    print(f"{f'of {TURNS} turns':<24}{'lowest':>9}{'median':>9}{'highest':>9}")
    for title, values, digits in (
        ("raw publishes/s", raws, 0),
        ("events/s", doors, 0),
        ("ratio", ratios, 2),
        ("p50 ms at half the rate", [wait.p50 for wait in waits], 1),
        ("p99 ms at half the rate", [wait.p99 for wait in waits], 1),
    ):
        print(f"{title:<24}" + "".join(f"{f(values):>9.{digits}f}" for f in (min, statistics.median, max)))
    print(f"\nThe door accepts {statistics.median(ratios):.2f} events for each raw confirmed publish of aio-pika")
    print(
        f"({WINDOW} in flight), with {EVENTS_EACH} events a webhook and {CLIENTS} senders. At half the rate of those\n"
        f"publishes 99 of 100 webhooks are answered within {statistics.median(wait.p99 for wait in waits):.0f} ms."
    )


async def _raw_publishes(amqp_url: str) -> float:
    """Persistent 400-byte messages into the same queue, confirmed, per second."""
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange("duebell.events", ensure=False)
        window = asyncio.Semaphore(WINDOW)

        async def publish() -> None:
            async with window:
                message = aio_pika.Message(b"x" * 400, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await exchange.publish(message, "xero.event.received.v1")

        began = perf_counter()
        await asyncio.gather(*(publish() for _ in range(PUBLISHES)))
        return PUBLISHES / (perf_counter() - began)


async def _webhooks(ingress: str, rate: float | None = None) -> Door:
    """As fast as the senders can, or ``rate`` events a second, each webhook's wait counted from when it was due."""
    url = urlsplit(ingress)
    sender = Sender(url.hostname or "", url.port or 0)
    requests = iter([_request() for _ in range(WEBHOOKS)])
    seconds: list[float] = []
    began = perf_counter()
    due = itertools.count()

    async def at_once() -> float:
        return perf_counter()

    async def when_due() -> float:
        at = began + next(due) * EVENTS_EACH / (rate or 1)
        await asyncio.sleep(max(0, at - perf_counter()))
        return at

    begin = when_due if rate else at_once
    await asyncio.gather(*(sender.post(requests, seconds, begin) for _ in range(CLIENTS)))
    elapsed = perf_counter() - began
    cuts = statistics.quantiles(seconds, n=100)
    return Door(WEBHOOKS * EVENTS_EACH / elapsed, cuts[49] * 1000, cuts[98] * 1000)


def _request() -> bytes:
    body = _body()
    signature = base64.b64encode(hmac.digest(KEY.encode(), body, hashlib.sha256)).decode()
    head = (
        "POST /webhooks/xero HTTP/1.1\r\nhost: ingress\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nx-xero-signature: {signature}\r\n\r\n"
    )
    return head.encode() + body


def _body() -> bytes:
    events = [
        {
            "tenantId": str(uuid4()),
            "resourceId": str(uuid4()),
            "eventCategory": "INVOICE",
            "eventType": "CREATE",
            "eventDateUtc": "2026-06-23T11:59:58.923",
        }
        for _ in range(EVENTS_EACH)
    ]
    return json.dumps({"events": events}).encode()
