"""What a silent Redis means to the fetcher: it waits, it never goes on without its limits."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from shared.errors import RetryableError


@contextmanager
def redis_answers() -> Iterator[None]:
    """Raises RetryableError ``redis_unreachable`` for whatever Redis fails with; waiting for it is no failure."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise RetryableError("redis_unreachable", type(error).__name__, retry_after=15, counts=False) from error
