"""A RabbitMQ that falls silent: what waits for its confirm is not confirmed when the connection is given up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import aiormq
import pamqp.frame
import pytest
from pamqp import commands
from pamqp.base import Frame
from pamqp.common import FieldValue

from shared.errors import PublishFailed
from shared.runtime.publisher import EventPublisher, Outgoing

_ANSWERS: dict[str, Frame] = {
    "Connection.StartOk": commands.Connection.Tune(channel_max=10, frame_max=131072, heartbeat=1),
    "Connection.Open": commands.Connection.OpenOk(),
    "Channel.Open": commands.Channel.OpenOk(),
    "Confirm.Select": commands.Confirm.SelectOk(),
    "Basic.Qos": commands.Basic.QosOk(),
}


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lets everybody in, and never says a word about what is published."""
    capabilities: dict[str, FieldValue] = {"publisher_confirms": True, "basic.nack": True}
    start = commands.Connection.Start(server_properties={"capabilities": capabilities}, mechanisms="PLAIN")
    writer.write(pamqp.frame.marshal(start, 0))
    received = (await reader.read(65536)).removeprefix(b"AMQP\x00\x00\x09\x01")
    while data := await reader.read(65536):
        received += data
        while len(received) > 7 and len(received) >= 8 + int.from_bytes(received[3:7]):
            size, channel, frame = pamqp.frame.unmarshal(received)
            received = received[size:]
            if (answer := _ANSWERS.get(frame.name)) is not None:
                writer.write(pamqp.frame.marshal(answer, channel))
    writer.close()


@asynccontextmanager
async def silent_broker() -> AsyncIterator[EventPublisher]:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    address = f"amqp://u:p@127.0.0.1:{server.sockets[0].getsockname()[1]}/v"
    connection = await aio_pika.connect_robust(address, heartbeat=1, timeout=5, reconnect_interval=1)
    try:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        assert isinstance(channel, aio_pika.abc.AbstractRobustChannel)
        yield EventPublisher(channel, "test")
    finally:
        # What is given up while it is closed ends as cancelled, too.
        await asyncio.gather(connection.close(), return_exceptions=True)
        server.close()


async def test_what_waits_on_a_connection_that_is_given_up_is_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiormq.Connection, "HEARTBEAT_GRACE_MULTIPLIER", 0.5)
    async with silent_broker() as publisher:
        both = [asyncio.create_task(publisher.send(Outgoing(b"", "exchange", "key"), deadline=2.5)) for _ in range(2)]
        await asyncio.wait(both)
    assert [task.cancelled() for task in both] == [False, False]
    assert [type(task.exception()) for task in both] == [PublishFailed, PublishFailed]
