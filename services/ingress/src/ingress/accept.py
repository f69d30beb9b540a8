"""Takes in a verified webhook: every piece is durable before the sender is told so."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from ingress.payloads import Contents
from ingress.ports import Outbox
from shared.contracts import Event
from shared.errors import PublishFailed
from shared.topology.lanes import Lane

PUBLISHES_IN_FLIGHT = 100
"""Confirms cost little when pipelined; a wider window only adds waiting."""


class AcceptWebhook:
    """Publishes all pieces of a body at once, each event in the lane that ``lane_of`` says."""

    def __init__(self, outbox: Outbox, lane_of: Callable[[Event], Lane]) -> None:
        self._outbox = outbox
        self._lane_of = lane_of

    async def __call__(self, contents: Contents) -> None:
        """Return when everything is confirmed; raise as soon as one piece is not, whatever became of the others.

        The sender then repeats the whole body, and consumers know each event by its id.
        """
        window = asyncio.Semaphore(PUBLISHES_IN_FLIGHT)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_within(window, partial(self._outbox.publish, event, self._lane_of(event))))
                for event in contents.events
            ]
            for piece in contents.unreadable:
                keep = partial(self._outbox.keep, piece.body, source=contents.source, reason=piece.reason)
                tasks.append(group.create_task(_within(window, keep)))
        if any(task.cancelled() for task in tasks):
            # To a task group that is as good as done.
            raise PublishFailed("publish_unconfirmed", "a publish was cut short")


async def _within(window: asyncio.Semaphore, publish: Callable[[], Awaitable[None]]) -> None:
    # Begun only here: what is cancelled while it waits has begun nothing.
    async with window:
        await publish()
