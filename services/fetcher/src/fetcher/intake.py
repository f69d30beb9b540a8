"""Lets deliveries in by and by, so that thousands that arrive together keep nothing else from being done."""

import asyncio
from collections.abc import Mapping
from typing import Any

from faststream import BaseMiddleware, ContextRepo
from faststream.rabbit.subscriber import RabbitSubscriber


class Turn:
    """Of one queue's deliveries: ``at_once`` begin together, the next ``pause_seconds`` later and after what waited."""

    def __init__(self, pause_seconds: float = 0.0, *, at_once: int = 1) -> None:
        self._pause_seconds = pause_seconds
        self._places = asyncio.Semaphore(at_once)

    async def take(self) -> None:
        async with self._places:
            await asyncio.sleep(self._pause_seconds)


class Intake(BaseMiddleware[Any]):
    """``turns``: queue → its turn; a queue without one lets everything in at once."""

    def __init__(self, message: Any, /, *, context: ContextRepo, turns: Mapping[str, Turn]) -> None:
        super().__init__(message, context=context)
        self._turns = turns

    async def on_receive(self) -> None:
        subscriber: RabbitSubscriber = self.context.get_local("handler_")
        if turn := self._turns.get(subscriber.queue.name):
            await turn.take()
