"""What the door costs on top of a confirmed publish, both measured now, on this machine."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import aio_pika
import httpx

from deploy.stack import Stack

KEY = secrets.token_hex(16)
PUBLISHES = 4000
WINDOW = 100
WEBHOOKS = 400
EVENTS_EACH = 10
CLIENTS = 16
ROUNDS = 3


@dataclass(frozen=True)
class Door:
    """``events``: accepted per second; ``p50`` and ``p99``: milliseconds to the answer."""

    events: float
    p50: float
    p99: float


def measure() -> None:
    """Print a line for each round, and what they come to."""
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
    ratios = []
    print(f"{'round':>5}  {'raw publishes/s':>15}  {'events/s':>9}  {'ratio':>5}  {'p50 ms':>7}  {'p99 ms':>7}")
    for number in range(1, ROUNDS + 1):
        raw = await _raw_publishes(stack.amqp_admin_url)
        door = await _webhooks(stack.url("ingress"))
        ratios.append(door.events / raw)
        print(f"{number:>5}  {raw:>15.0f}  {door.events:>9.0f}  {ratios[-1]:>5.2f}  {door.p50:>7.1f}  {door.p99:>7.1f}")
    print(f"\nThe door accepts {statistics.median(ratios):.2f} events for each raw confirmed publish of aio-pika")
    print(
        f"({WINDOW} in flight), with {EVENTS_EACH} events a webhook and {CLIENTS} senders; median of {ROUNDS} rounds."
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


async def _webhooks(ingress: str) -> Door:
    bodies = [_body() for _ in range(WEBHOOKS)]
    seconds: list[float] = []
    waiting = iter(bodies)
    async with httpx.AsyncClient(base_url=ingress, trust_env=False, timeout=30) as http:

        async def send() -> None:
            for body in waiting:
                signature = base64.b64encode(hmac.digest(KEY.encode(), body, hashlib.sha256)).decode()
                began = perf_counter()
                answer = await http.post("/webhooks/xero", content=body, headers={"x-xero-signature": signature})
                seconds.append(perf_counter() - began)
                if answer.status_code != 200:
                    raise RuntimeError(f"the door answered {answer.status_code}")

        began = perf_counter()
        await asyncio.gather(*(send() for _ in range(CLIENTS)))
        elapsed = perf_counter() - began
    cuts = statistics.quantiles(seconds, n=100)
    return Door(WEBHOOKS * EVENTS_EACH / elapsed, cuts[49] * 1000, cuts[98] * 1000)


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
