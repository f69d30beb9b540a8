"""A connection that was given up is an error, and not a cancellation."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def given_up_is_an_error() -> Iterator[None]:
    """Around what waits for RabbitMQ, and around its deadline.

    When aiormq gives up a connection that fell silent, it ends whatever waits on it as cancelled, though nobody has
    cancelled the task: a task group takes such a task for one that is done, and what was never confirmed for confirmed.

    Raises:
        ConnectionError: instead of a cancellation that nobody asked for.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionAbortedError("the connection was given up") from None
