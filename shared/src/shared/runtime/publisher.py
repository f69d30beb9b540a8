"""One way to publish: persistent, mandatory, confirmed, with a deadline."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

import aio_pika
import aiormq
from aio_pika.abc import AbstractRobustConnection, HeadersType

from shared.contracts import Event, MessageChangedV1
from shared.errors import PermanentError, PublishFailed
from shared.telemetry.correlation import correlation_id, new_correlation_id
from shared.topology import exchanges
from shared.topology.permissions import PROBE_KEY

DEADLINE_SECONDS = 30.0
_ATTEMPT_SECONDS = 3.0
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_PASSING = (aiormq.exceptions.AMQPError, ConnectionError, TimeoutError, RuntimeError)
"""RuntimeError and InvalidStateError are what aio-pika raises while it reconnects."""

_FOR_WHOEVER_LISTENS = frozenset({MessageChangedV1.key})
"""Facts that need no consumer; everything else is an error when no queue takes it."""


class Publishes(Protocol):
    """The port by which handlers and loops say what happened."""

    async def publish(self, event: Event, *, deadline: float | None = None) -> None:
        """Return once RabbitMQ has confirmed the event. Raises PublishFailed after ``deadline`` seconds."""


class EventPublisher:
    """Publishes on one channel of a connection that consumes nothing, so that an alarm cannot stall the consumers."""

    def __init__(self, channel: aio_pika.abc.AbstractRobustChannel, app_id: str) -> None:
        self._channel = channel
        self._app_id = app_id

    async def publish(self, event: Event, *, deadline: float | None = None) -> None:
        """See :class:`Publishes`. The outcome of a failed publish is unknown, never "not arrived"."""
        await self.publish_raw(
            event.model_dump_json().encode(),
            exchange=exchanges.EVENTS,
            routing_key=event.key,
            message_type=event.key,
            mandatory=event.key not in _FOR_WHOEVER_LISTENS,
            deadline=deadline,
        )

    async def publish_raw(
        self,
        body: bytes,
        *,
        exchange: str,
        routing_key: str,
        message_type: str | None = None,
        headers: Mapping[str, str | int] | None = None,
        content_type: str = "application/json",
        correlation: str | None = None,
        mandatory: bool = True,
        deadline: float | None = None,
    ) -> None:
        """Publish ``body`` as it is: dead letters, delayed deliveries, answers."""
        loop = asyncio.get_running_loop()
        end = loop.time() + (DEADLINE_SECONDS if deadline is None else deadline)
        pause = _FIRST_PAUSE_SECONDS
        correlation = correlation or correlation_id() or new_correlation_id()
        while True:
            # A fresh message id for each try: two in flight with one id get each other's confirm.
            message = aio_pika.Message(
                body,
                headers=_headers(headers),
                content_type=content_type,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                message_id=uuid4().hex,
                correlation_id=correlation,
                type=message_type,
                app_id=self._app_id,
                timestamp=datetime.now(UTC),
            )
            try:
                await self._publish_once(message, exchange, routing_key, mandatory, end - loop.time())
            except aiormq.exceptions.PublishError as error:
                raise PermanentError("unroutable", f"no queue takes {routing_key} from {exchange}") from error
            except _PASSING as error:
                if loop.time() + pause > end:
                    raise PublishFailed("publish_unconfirmed", f"{routing_key}: {type(error).__name__}") from error
                await asyncio.sleep(pause * random.uniform(0.5, 1))
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                return

    async def _publish_once(
        self, message: aio_pika.Message, exchange: str, routing_key: str, mandatory: bool, left: float
    ) -> None:
        async with asyncio.timeout(max(0.05, min(_ATTEMPT_SECONDS, left))):
            await self._channel.ready()
            target = (
                await self._channel.get_exchange(exchange, ensure=False) if exchange else self._channel.default_exchange
            )
            await target.publish(message, routing_key, mandatory=mandatory)

    async def probe(self, deadline: float = 2.0) -> bool:
        """Whether RabbitMQ takes and confirms a message now; an open socket alone says little."""
        try:
            await self.publish_raw(
                b"", exchange=exchanges.EVENTS, routing_key=PROBE_KEY, mandatory=False, deadline=deadline
            )
        except PublishFailed:
            return False
        return True


def _headers(headers: Mapping[str, str | int] | None) -> HeadersType:
    return dict(headers or {})


@asynccontextmanager
async def open_publisher(connection: AbstractRobustConnection, app_id: str) -> AsyncIterator[EventPublisher]:
    """A publisher on a channel of its own, with confirms on and returns raised."""
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    if not isinstance(channel, aio_pika.abc.AbstractRobustChannel):
        raise TypeError("the connection is not robust")
    try:
        yield EventPublisher(channel, app_id)
    finally:
        await channel.close()
