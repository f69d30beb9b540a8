"""Asks the token-broker: the one synchronous call between services."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import aio_pika
import aiormq
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection
from pydantic import BaseModel, SecretStr, TypeAdapter

from shared.clients.given_up import given_up_is_an_error
from shared.contracts.tokens import (
    ConnectionsList,
    ConnectionsListRequest,
    TokenAccessRequest,
    TokenAnswer,
    TokenGranted,
    TokenRefused,
)
from shared.errors import RetryableError
from shared.topology import exchanges

_REPLY_TO = "amq.rabbitmq.reply-to"
_ANSWER: TypeAdapter[TokenGranted | TokenRefused] = TypeAdapter(TokenAnswer)
_PASSING = (aiormq.exceptions.AMQPError, ConnectionError, TimeoutError, RuntimeError)


def fingerprint(token: SecretStr) -> str:
    """Names a token without telling it."""
    return hashlib.sha256(token.get_secret_value().encode()).hexdigest()[:16]


class TokenBrokerClient:
    """Many questions may be open at once; each has its own correlation id and deadline."""

    def __init__(self, channel: aio_pika.abc.AbstractRobustChannel, user: str | None = None) -> None:
        """``user`` is the name the channel's connection logged in with; RabbitMQ vouches for it to the answerer."""
        self._channel = channel
        self._user = user
        self._waiting: dict[str, asyncio.Future[bytes]] = {}

    async def start(self) -> None:
        await self._listen()
        # A reply address lives as long as its channel: aio-pika opens the channel again, but does not listen again.
        self._channel.reopen_callbacks.add(self._listen)

    async def _listen(self, *_: object) -> None:
        queue = await self._channel.get_queue(_REPLY_TO, ensure=False)
        await queue.consume(self._on_reply, no_ack=True)

    async def access(
        self, tenant_id: str, refused: str | None = None, forbidden: bool = False, timeout: float = 10.0
    ) -> TokenGranted | TokenRefused:
        """An access token for the tenant, or the typed reason why there is none.

        ``refused`` and ``forbidden`` are those of :class:`~shared.contracts.tokens.TokenAccessRequest`.

        Raises:
            RetryableError: ``token_broker_silent`` when no answer came within ``timeout`` seconds.
        """
        request = TokenAccessRequest(tenant_id=tenant_id, refused=refused, forbidden=forbidden)
        return _ANSWER.validate_json(await self._ask(TokenAccessRequest.key, request, timeout))

    async def connections(self, timeout: float = 5.0) -> ConnectionsList:
        """The tenants that can be read now. Raises as :meth:`access` does."""
        return ConnectionsList.model_validate_json(
            await self._ask(ConnectionsListRequest.key, ConnectionsListRequest(), timeout)
        )

    async def _ask(self, key: str, request: BaseModel, seconds: float) -> bytes:
        identifier = uuid4().hex
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[identifier] = answer
        message = aio_pika.Message(
            request.model_dump_json().encode(),
            content_type="application/json",
            correlation_id=identifier,
            message_id=identifier,
            reply_to=_REPLY_TO,
            user_id=self._user,
            expiration=seconds,
        )
        try:
            with given_up_is_an_error():
                async with asyncio.timeout(seconds):
                    # Direct replies arrive only on the channel that asked.
                    exchange = await self._channel.get_exchange(exchanges.RPC, ensure=False)
                    await exchange.publish(message, key)
                    return await answer
        except _PASSING as error:
            raise RetryableError("token_broker_silent", type(error).__name__) from error
        finally:
            self._waiting.pop(identifier, None)

    async def _on_reply(self, message: AbstractIncomingMessage) -> None:
        waiting = self._waiting.get(message.correlation_id or "")
        if waiting is not None and not waiting.done():
            waiting.set_result(message.body)


@asynccontextmanager
async def open_token_broker_client(connection: AbstractRobustConnection) -> AsyncIterator[TokenBrokerClient]:
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    if not isinstance(channel, aio_pika.abc.AbstractRobustChannel):
        raise TypeError("the connection is not robust")
    user = connection.url.user if isinstance(connection, aio_pika.Connection) else None
    client = TokenBrokerClient(channel, user)
    await client.start()
    try:
        yield client
    finally:
        await channel.close()
