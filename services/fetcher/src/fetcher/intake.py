"""Lets deliveries in one by one, so that thousands that arrive together keep nothing else from being done."""

import asyncio
from collections.abc import Mapping
from typing import Any

from faststream import BaseMiddleware, ContextRepo
from faststream.rabbit.subscriber import RabbitSubscriber


class Intake(BaseMiddleware[Any]):
    """``turns``: queue → its turn; a queue without one lets everything in at once.

    Whoever has the turn begins, and hands it on when all else that could be done has had a moment too.
    """

    def __init__(self, message: Any, /, *, context: ContextRepo, turns: Mapping[str, asyncio.Lock]) -> None:
        super().__init__(message, context=context)
        self._turns = turns

    async def on_receive(self) -> None:
        subscriber: RabbitSubscriber = self.context.get_local("handler_")
        if turn := self._turns.get(subscriber.queue.name):
            async with turn:
                await asyncio.sleep(0)
