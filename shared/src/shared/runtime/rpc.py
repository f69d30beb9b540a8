"""Answering questions over RabbitMQ: the responder's half of a request and its reply."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from faststream.rabbit import RabbitRouter
from pydantic import BaseModel

from shared.runtime.delivery import current_delivery
from shared.runtime.publisher import EventPublisher, Outgoing
from shared.topology.queues import Queue

Request = TypeVar("Request", bound=BaseModel)
_REPLY_DEADLINE_SECONDS = 5.0


class Replies:
    """Sends a model to whoever asked.

    Not mandatory: RabbitMQ reports a reply address as unroutable even when the reply arrives.
    """

    def __init__(self, publisher: EventPublisher) -> None:
        self._publisher = publisher

    async def reply(self, answer: BaseModel) -> None:
        delivery = current_delivery()
        if not delivery.reply_to:
            return
        outgoing = Outgoing(
            answer.model_dump_json().encode(),
            exchange="",
            routing_key=delivery.reply_to,
            correlation=delivery.correlation_id,
            mandatory=False,
        )
        await self._publisher.send(outgoing, deadline=_REPLY_DEADLINE_SECONDS)


def answer(
    router: RabbitRouter,
    queue: Queue,
    request_type: type[Request],
    use_case: Callable[[Request], Awaitable[BaseModel]],
    replies: Replies,
) -> None:
    """Register a subscriber that answers every ``request_type`` on ``queue`` with what ``use_case`` returns.

    A question that fails is dropped and logged: its asker has a deadline and asks again.
    """

    @router.subscriber(queue.subscription(), no_reply=True)
    async def on_request(body: dict[str, Any]) -> None:
        await replies.reply(await use_case(request_type.model_validate(body)))
