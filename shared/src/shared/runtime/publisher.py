"""One way to publish: persistent, mandatory, confirmed, with a deadline."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

import aio_pika
import aiormq
from aio_pika.abc import AbstractRobustConnection

from shared.clients.given_up import given_up_is_an_error
from shared.contracts import Event, MessageChangedV1
from shared.errors import PermanentError, PublishFailed
from shared.telemetry.correlation import correlation_id, new_correlation_id
from shared.topology import exchanges
from shared.topology.lanes import Lane
from shared.topology.permissions import PROBE_KEY

DEADLINE_SECONDS = 30.0
_ATTEMPT_SECONDS = 3.0
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_UNCONFIRMED_WITHOUT_WAITING = 500
"""Beyond so many, a publish that begins waits until the socket takes it: a broker that reads no more, as in an alarm,
would otherwise fill this process's memory with what nobody waits for any longer."""
_PASSING = (aiormq.exceptions.AMQPError, ConnectionError, TimeoutError, RuntimeError)
"""RuntimeError and InvalidStateError are what aio-pika raises while it reconnects."""

_FOR_WHOEVER_LISTENS = frozenset({MessageChangedV1.key})
"""Facts that need no consumer; everything else is an error when no queue takes it."""


class Publishes(Protocol):
    """The port by which handlers and loops say what happened."""

    async def publish(self, event: Event, *, deadline: float | None = None) -> None:
        """Return once RabbitMQ has confirmed the event. Raises PublishFailed after ``deadline`` seconds."""


@dataclass(frozen=True)
class Outgoing:
    """A message as it goes out. Left out, ``correlation`` is the work's at hand and ``message_id`` a fresh one."""

    body: bytes
    exchange: str
    routing_key: str
    type: str | None = None
    headers: Mapping[str, str | int] = field(default_factory=dict)
    content_type: str = "application/json"
    correlation: str | None = None
    mandatory: bool = True
    message_id: str | None = None


class EventPublisher:
    """Publishes on one channel of a connection that consumes nothing, so that an alarm cannot stall the consumers."""

    def __init__(self, channel: aio_pika.abc.AbstractRobustChannel, app_id: str) -> None:
        self._channel = channel
        self._app_id = app_id

    async def publish(
        self, event: Event, *, deadline: float | None = None, lane: Lane = Lane.HOT, message_id: str | None = None
    ) -> None:
        """See :class:`Publishes`. The outcome of a failed publish is unknown, never "not arrived".

        A ``message_id`` of its own is for what may be told twice, so that who listens knows it again.
        """
        outgoing = Outgoing(
            event.model_dump_json().encode(),
            exchange=exchanges.EVENTS,
            routing_key=event.key,
            type=event.key,
            headers=lane.headers,
            mandatory=event.key not in _FOR_WHOEVER_LISTENS,
            message_id=message_id,
        )
        await self.send(outgoing, deadline=deadline)

    async def send(self, outgoing: Outgoing, *, deadline: float | None = None) -> None:
        """Publish anything: an event, a dead letter, a delayed delivery, an answer. Confirmed on return."""
        loop = asyncio.get_running_loop()
        end = loop.time() + (DEADLINE_SECONDS if deadline is None else deadline)
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._send_once(outgoing, end - loop.time())
            except aiormq.exceptions.PublishError as error:
                raise PermanentError(
                    "unroutable", f"no queue takes {outgoing.routing_key} from {outgoing.exchange}"
                ) from error
            except _PASSING as error:
                if loop.time() + pause > end:
                    raise PublishFailed(
                        "publish_unconfirmed", f"{outgoing.routing_key}: {type(error).__name__}"
                    ) from error
                await asyncio.sleep(pause * random.uniform(0.5, 1))
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                return

    async def _send_once(self, outgoing: Outgoing, left: float) -> None:
        with given_up_is_an_error():
            async with asyncio.timeout(max(0.05, min(_ATTEMPT_SECONDS, left))):
                await self._confirmed(outgoing)

    async def _confirmed(self, outgoing: Outgoing) -> None:
        await self._channel.ready()
        # aio-pika's own publish waits for the socket after each message, which costs a third of the whole.
        channel = await self._channel.get_underlay_channel()
        if not isinstance(channel, aiormq.Channel) or channel.is_closed:
            raise aiormq.exceptions.ChannelInvalidStateError("the channel is closed")
        await channel.basic_publish(
            outgoing.body,
            exchange=outgoing.exchange,
            routing_key=outgoing.routing_key,
            properties=self._properties(outgoing),
            mandatory=outgoing.mandatory,
            wait=len(channel.confirmations) >= _UNCONFIRMED_WITHOUT_WAITING,
        )

    def _properties(self, outgoing: Outgoing) -> aiormq.spec.Basic.Properties:
        return aiormq.spec.Basic.Properties(
            headers=dict(outgoing.headers),
            content_type=outgoing.content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            # Fresh for each try where nobody names it: of two in flight with one id the wrong one is told of a return.
            message_id=outgoing.message_id or uuid4().hex,
            correlation_id=outgoing.correlation or correlation_id() or new_correlation_id(),
            message_type=outgoing.type,
            app_id=self._app_id,
            timestamp=datetime.now(UTC),
        )

    async def probe(self, deadline: float = 2.0) -> bool:
        """Whether RabbitMQ takes and confirms a message now; an open socket alone says little."""
        try:
            await self.send(Outgoing(b"", exchanges.EVENTS, PROBE_KEY, mandatory=False), deadline=deadline)
        except PublishFailed:
            return False
        return True


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
