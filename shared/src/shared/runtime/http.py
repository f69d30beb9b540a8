"""The only maker of outbound HTTP clients: every one has timeouts, limits and no redirects."""

from collections.abc import Mapping

import httpx

CONNECT_TIMEOUT_SECONDS = 5.0
KEEPALIVE_SECONDS = 5.0
"""Short: a request on a connection that the server is just closing has an unknown outcome."""
USER_AGENT = "duebell/0.1"


class _Transport(httpx.AsyncHTTPTransport):
    """A connection that is reset in the moment in which it stands is a broken one, as its client expects."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except AttributeError as error:
            # anyio asks the socket for its family, and the event loop has taken the socket away already.
            if error.obj is not None:
                raise
            raise httpx.ReadError("the connection was reset as soon as it stood", request=request) from error


def create_http_client(
    base_url: str,
    *,
    timeout_seconds: float,
    max_connections: int = 20,
    headers: Mapping[str, str] | None = None,
    keepalive_seconds: float = KEEPALIVE_SECONDS,
    pool_seconds: float | None = None,
) -> httpx.AsyncClient:
    """A client that talks to ``base_url`` alone, takes no proxy from the environment and never retries by itself.

    ``keepalive_seconds``: how long an idle connection may be used again; 0 opens one for every request.
    ``pool_seconds``: how long a request may wait for one of ``max_connections``, where that is not ``timeout_seconds``.
    """
    limits = httpx.Limits(
        max_connections=max_connections,
        max_keepalive_connections=max_connections if keepalive_seconds else 0,
        keepalive_expiry=keepalive_seconds,
    )
    return httpx.AsyncClient(
        base_url=base_url,
        transport=_Transport(limits=limits, trust_env=False),
        timeout=httpx.Timeout(
            timeout_seconds,
            connect=min(CONNECT_TIMEOUT_SECONDS, timeout_seconds),
            pool=timeout_seconds if pool_seconds is None else pool_seconds,
        ),
        headers={"User-Agent": USER_AGENT, **(headers or {})},
        follow_redirects=False,
        trust_env=False,
    )
