"""The only maker of Redis clients: a bounded pool that waits for a connection, and no hidden retries."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def create_redis(url: str, *, timeout_seconds: float = 3.0, max_connections: int = 20) -> Redis:
    """A client that answers in text. A lost answer is raised to the caller, who alone knows what repeating means."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=15,
    )
    return Redis.from_pool(pool)
