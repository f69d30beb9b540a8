"""Takes in a verified webhook: every piece is durable before the sender is told so."""

import asyncio
from collections.abc import Awaitable

from ingress.payloads import Contents
from ingress.ports import Outbox

PUBLISHES_IN_FLIGHT = 100
"""Confirms cost little when pipelined; a wider window only adds waiting."""


class AcceptWebhook:
    """Publishes all pieces of a body at once."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def __call__(self, contents: Contents) -> None:
        """Return when everything is confirmed; raise as soon as one piece is not, whatever became of the others.

        The sender then repeats the whole body, and consumers know each event by its id.
        """
        window = asyncio.Semaphore(PUBLISHES_IN_FLIGHT)
        async with asyncio.TaskGroup() as group:
            for event in contents.events:
                group.create_task(_within(window, self._outbox.publish(event)))
            for piece in contents.unreadable:
                kept = self._outbox.keep(piece.body, source=contents.source, reason=piece.reason)
                group.create_task(_within(window, kept))


async def _within(window: asyncio.Semaphore, publishing: Awaitable[None]) -> None:
    async with window:
        await publishing
