"""What the door costs on top of a confirmed publish, both measured now, on this machine."""

import asyncio
import itertools
import secrets
import statistics
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika

from bench.running import running
from bench.tables import print_table
from bench.webhooks import KEY, PATH, body_of, headers_of
from deploy.stack import Stack

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
    env = {
        "DUEBELL_XERO_WEBHOOK_KEYS": KEY,
        "DUEBELL_WHATSAPP_APP_SECRET": secrets.token_hex(16),
        "DUEBELL_WHATSAPP_VERIFY_TOKEN": secrets.token_hex(16),
    }
    with running({"ingress": 1}, env, sandbox=False) as stack:
        asyncio.run(_measure(stack))


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
    series = (
        ("raw publishes/s", raws, 0),
        ("events/s", doors, 0),
        ("ratio", ratios, 2),
        ("p50 ms at half the rate", [wait.p50 for wait in waits], 1),
        ("p99 ms at half the rate", [wait.p99 for wait in waits], 1),
    )
    print_table(
        [f"of {TURNS} turns", "lowest", "median", "highest"],
        [
            [title, *(f"{of(values):.{digits}f}" for of in (min, statistics.median, max))]
            for title, values, digits in series
        ],
    )
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
    body = body_of([(str(uuid4()), str(uuid4())) for _ in range(EVENTS_EACH)])
    headers = {"host": "ingress", "content-length": str(len(body)), **headers_of(body)}
    return (
        "\r\n".join(
            [f"POST {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        ).encode()
        + body
    )
