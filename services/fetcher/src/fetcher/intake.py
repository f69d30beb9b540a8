"""Lets deliveries in one by one, so that thousands that arrive together keep nothing else from being done."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from faststream import BaseMiddleware, ContextRepo
from faststream.rabbit.subscriber import RabbitSubscriber


@dataclass(frozen=True)
class Turn:
    """Of one queue's deliveries: the next begins ``pause_seconds`` after the last, and after all that waited."""

    pause_seconds: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Intake(BaseMiddleware[Any]):
    """``turns``: queue → its turn; a queue without one lets everything in at once."""

    def __init__(self, message: Any, /, *, context: ContextRepo, turns: Mapping[str, Turn]) -> None:
        super().__init__(message, context=context)
        self._turns = turns

    async def on_receive(self) -> None:
        subscriber: RabbitSubscriber = self.context.get_local("handler_")
        if turn := self._turns.get(subscriber.queue.name):
            async with turn.lock:
                await asyncio.sleep(turn.pause_seconds)
