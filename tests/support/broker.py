"""Looking into RabbitMQ from a test: reading queues, and running a service's consumers in-process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection
from faststream.rabbit import RabbitRouter
from prometheus_client import CollectorRegistry

from shared.runtime.connection import open_connection
from shared.runtime.consumer import Consumer
from shared.runtime.delivery import DeliveryFigures, Settlement
from shared.runtime.publisher import EventPublisher, open_publisher
from support.waiting import eventually


@dataclass
class Broker:
    """A connection of the test's own, as administrator."""

    url: str
    connection: AbstractRobustConnection
    events: EventPublisher

    async def depth(self, queue: str) -> int:
        """How many messages are ready, asked anew each time."""
        async with self.connection.channel() as channel:
            declared = await channel.declare_queue(queue, passive=True)
            return declared.declaration_result.message_count or 0

    async def take(self, queue: str, seconds: float = 10) -> AbstractIncomingMessage:
        """The next message of the queue, acknowledged."""
        channel = await self.connection.channel()
        source = await channel.get_queue(queue, ensure=False)

        async def get() -> AbstractIncomingMessage | None:
            return await source.get(fail=False)

        message: AbstractIncomingMessage = await eventually(get, seconds=seconds, what=f"a message in {queue}")
        await message.ack()
        await channel.close()
        return message

    async def collect(self, exchange: str, key: str) -> "asyncio.Queue[AbstractIncomingMessage]":
        """Everything published with ``key`` from now on."""
        channel = await self.connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, key)
        found: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        await queue.consume(found.put, no_ack=True)
        return found


@asynccontextmanager
async def open_broker(url: str) -> AsyncIterator[Broker]:
    async with open_connection(url, "test") as connection, open_publisher(connection, "test") as events:
        yield Broker(url, connection, events)


@asynccontextmanager
async def consuming(
    broker: Broker,
    router: RabbitRouter,
    *,
    service: str = "fetcher",
    prefetch: int = 10,
    is_away: Callable[[BaseException], bool] = lambda _: False,
) -> AsyncIterator[Consumer]:
    """A service's consumer with real settlement, running inside the test."""
    consumer = Consumer(
        broker.url,
        [router],
        service=service,
        prefetch=prefetch,
        settlement=Settlement(service, broker.events),
        figures=DeliveryFigures(CollectorRegistry()),
        is_away=is_away,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.drain()
