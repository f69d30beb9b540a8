"""Opening a connection to RabbitMQ: patient with a broker that is starting, not with a wrong password."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import aiormq
from aio_pika.abc import AbstractRobustConnection
from aio_pika.connection import make_url
from yarl import URL

from shared.errors import ConfigurationError
from shared.telemetry.logging import get_logger

CONNECT_SECONDS = 5.0
"""For the handshake too: a port may be open long before, and long after, anybody answers behind it."""
_HEARTBEAT_SECONDS = 10
"""aiormq gives a connection up when it has heard nothing for three of them."""
_PATIENCE_SECONDS = 60.0
_log = get_logger(__name__)


def with_heartbeat(amqp_url: str) -> URL:
    """For every connection: one whose other end says nothing any more is given up after half a minute."""
    return make_url(amqp_url, heartbeat=_HEARTBEAT_SECONDS)


@asynccontextmanager
async def open_connection(amqp_url: str, name: str) -> AsyncIterator[AbstractRobustConnection]:
    """A connection that comes back by itself; ``name`` shows in the management page.

    Raises:
        ConfigurationError: wrong user or virtual host, or no broker within a minute.
    """
    connection = await _connect(amqp_url, name)
    try:
        yield connection
    finally:
        await connection.close()


async def _connect(amqp_url: str, name: str) -> AbstractRobustConnection:
    end = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while True:
        try:
            return await aio_pika.connect_robust(
                with_heartbeat(amqp_url),
                timeout=CONNECT_SECONDS,
                reconnect_interval=1,
                client_properties={"connection_name": name},
            )
        except (aiormq.exceptions.ProbableAuthenticationError, aiormq.exceptions.ConnectionNotAllowed) as error:
            raise ConfigurationError(f"RabbitMQ refused DUEBELL_AMQP_URL: {type(error).__name__}") from None
        except (OSError, TimeoutError, aiormq.exceptions.AMQPError) as error:
            if asyncio.get_running_loop().time() > end:
                raise ConfigurationError(f"RabbitMQ cannot be reached: {type(error).__name__}") from None
            _log.info("broker.awaited", error=type(error).__name__)
            await asyncio.sleep(1)
