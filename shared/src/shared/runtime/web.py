"""A service's HTTP server: uvicorn without its signal handling, access log or server header."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from shared.errors import ConfigurationError

_GRACE_SECONDS = 5


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The bootstrap owns the signals."""
        yield


class WebServer:
    """Access lines are not written: a query string may hold a code, a state or a token."""

    def __init__(self, routes: Sequence[BaseRoute] | ASGIApp, host: str, port: int) -> None:
        app = Starlette(routes=list(routes)) if isinstance(routes, Sequence) else routes
        self._host, self._port = host, port
        self._server = _Server(
            uvicorn.Config(
                app,
                access_log=False,
                log_config=None,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=_GRACE_SECONDS,
                timeout_keep_alive=30,
                limit_concurrency=2000,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self.port = port

    async def start(self) -> int:
        """Listen; the port, which the system chose when 0 was asked for."""
        try:
            listener = socket.create_server((self._host, self._port), backlog=2048, family=_family(self._host))
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {self._host}:{self._port}: {error.strerror}") from None
        self.port = int(listener.getsockname()[1])
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        return self.port

    async def drain(self) -> None:
        """Accept no more and let requests in flight finish."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
