"""The id that follows one webhook through every message, log line and stored row."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import uuid4

import structlog

_current: ContextVar[str | None] = ContextVar("duebell_correlation_id", default=None)


def new_correlation_id() -> str:
    return uuid4().hex


def correlation_id() -> str | None:
    """The id of the work at hand, or None outside of any."""
    return _current.get()


@contextmanager
def correlated(identifier: str | None, **fields: object) -> Iterator[str]:
    """Bind ``identifier`` (a new one for None) and ``fields`` to everything logged and published inside."""
    bound = identifier or new_correlation_id()
    token = _current.set(bound)
    try:
        with structlog.contextvars.bound_contextvars(correlation_id=bound, **fields):
            yield bound
    finally:
        _current.reset(token)
