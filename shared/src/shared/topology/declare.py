"""Declares the whole topology, and stops where something of that name already stands differently.

``python -m shared.topology.declare`` does it with the administrator's ``DUEBELL_AMQP_URL``, any number of times.
"""

import asyncio
import sys

import aio_pika
import aiormq
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection

from shared.errors import ConfigurationError
from shared.settings.base import load_settings
from shared.settings.groups import AmqpSettings
from shared.topology import exchanges, queues
from shared.topology.delays import LADDER


async def declare(amqp_url: str) -> None:
    """Declare every exchange, queue and binding.

    Raises:
        ConfigurationError: naming the exchange or queue that exists with other arguments.
    """
    connection = await aio_pika.connect(amqp_url, timeout=10)
    async with connection:
        channel = await connection.channel(publisher_confirms=False)
        for name in (exchanges.EVENTS, exchanges.RPC, exchanges.DEAD, *(rung.name for rung in LADDER)):
            await _declare_exchange(channel, name)
        await _declare_exchange(channel, exchanges.HOT_LANE, internal=True)
        alternate = {"alternate-exchange": exchanges.HOT_LANE}
        await _declare_exchange(channel, exchanges.LANES, ExchangeType.HEADERS, internal=True, arguments=alternate)
        for service in queues.SERVICES:
            await _declare_queue(channel, queues.dead_queue(service), queues.DEAD_ARGUMENTS, exchanges.DEAD, service)
        for rung in LADDER:
            await _declare_queue(channel, rung.name, queues.delay_arguments(rung.seconds), rung.name, "#")
        for queue in queues.QUEUES:
            if queue.purpose is queues.Purpose.RPC:
                await _declare_questions(connection, queue)
            else:
                await _declare_queue(channel, queue.name, queue.arguments, queue.exchange, queue.key, queue.headers)
        await _divide_into_lanes(channel)


async def _declare_questions(connection: AbstractConnection, queue: queues.Queue) -> None:
    """One that stands differently is made anew: a question in it is seconds old, and is asked again."""
    asked = (queue.name, queue.arguments, queue.exchange, queue.key)
    try:
        # A refusal ends the channel that it was asked on.
        async with connection.channel(publisher_confirms=False) as channel:
            await _declare_queue(channel, *asked)
    except ConfigurationError:
        async with connection.channel(publisher_confirms=False) as channel:
            await channel.queue_delete(queue.name, timeout=10)
            await _declare_queue(channel, *asked)


async def _divide_into_lanes(channel: AbstractChannel) -> None:
    """Bound before it is unbound: there is always a way, and a queue takes a message once by however many."""
    lanes = await channel.get_exchange(exchanges.LANES, ensure=False)
    for key in queues.LANED_KEYS:
        await lanes.bind(exchanges.EVENTS, key, timeout=10)
    for queue in queues.QUEUES:
        if queue.lane:
            # Installations from before the lanes have it.
            bound = await channel.get_queue(queue.name, ensure=False)
            await bound.unbind(exchanges.EVENTS, queue.key, timeout=10)


async def _declare_exchange(
    channel: AbstractChannel,
    name: str,
    kind: ExchangeType = ExchangeType.TOPIC,
    *,
    internal: bool = False,
    arguments: dict[str, str] | None = None,
) -> None:
    try:
        await channel.declare_exchange(
            name, kind, durable=True, internal=internal, arguments=dict(arguments or {}), timeout=10
        )
    except aiormq.exceptions.ChannelPreconditionFailed as error:
        raise ConfigurationError(f"exchange {name} stands in RabbitMQ with other settings: {error}") from None


async def _declare_queue(
    channel: AbstractChannel,
    name: str,
    arguments: queues.Arguments,
    exchange: str,
    key: str,
    headers: queues.Arguments | None = None,
) -> None:
    try:
        queue = await channel.declare_queue(name, durable=True, arguments=dict(arguments), timeout=10)
    except aiormq.exceptions.ChannelPreconditionFailed as error:
        raise ConfigurationError(f"queue {name} stands in RabbitMQ with other arguments: {error}") from None
    await queue.bind(exchange, key, arguments=dict(headers or {}), timeout=10)


def main() -> None:
    try:
        asyncio.run(declare(load_settings(AmqpSettings).amqp_url.get_secret_value()))
    except ConfigurationError as error:
        sys.exit(f"topology: {error}")
    except (OSError, aiormq.exceptions.AMQPError) as error:
        sys.exit(f"topology: RabbitMQ cannot be reached: {type(error).__name__}")


if __name__ == "__main__":
    main()
