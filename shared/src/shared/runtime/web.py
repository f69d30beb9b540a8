"""A service's HTTP server: uvicorn without its signal handling, access log or server header."""

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from shared.errors import ConfigurationError
from shared.runtime.connections import BoundedProtocol, Stage, sweep
from shared.runtime.early_answers import EarlyAnswers

_GRACE_SECONDS = 5
_ACCEPTS = 8
"""New connections in one turn of the event loop, of which libuv takes one from each descriptor."""
_RECEIVE_BYTES = 64 * 1024
"""Of each connection, before anybody has looked at it; TLS ends at a proxy nearby, so that more would not be faster."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The bootstrap owns the signals."""
        yield


class WebServer:
    """Access lines are not written: a query string may hold a code, a state or a token."""

    def __init__(self, routes: Sequence[BaseRoute] | ASGIApp, host: str, port: int) -> None:
        app = _application(routes) if isinstance(routes, Sequence) else routes
        self._host, self._port = host, port
        self._ended: Counter[Stage] = Counter()
        self._server = _Server(
            uvicorn.Config(
                EarlyAnswers(app),
                http=cast("type[asyncio.Protocol]", partial(BoundedProtocol, ended=self._ended)),
                ws="none",
                # Nobody asks who the client says it is.
                proxy_headers=False,
                access_log=False,
                log_config=None,
                # Whoever sends what is no HTTP could fill the disk with lines that say so.
                log_level="error",
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=_GRACE_SECONDS,
                timeout_keep_alive=30,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self.port = port

    async def start(self) -> int:
        """Listen; the port, which the system chose when 0 was asked for."""
        try:
            listener = socket.create_server((self._host, self._port), backlog=2048, family=_family(self._host))
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {self._host}:{self._port}: {error.strerror}") from None
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        self.port = int(listener.getsockname()[1])
        listeners = [listener, *(listener.dup() for _ in range(1, _ACCEPTS))]
        self._task = asyncio.create_task(self._server.serve(sockets=listeners))
        self._sweeping = asyncio.create_task(sweep(self._server.server_state.connections, self._ended))
        return self.port

    async def drain(self) -> None:
        """Accept no more and let requests in flight finish."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)


def _application(routes: Sequence[BaseRoute]) -> Starlette:
    app = Starlette(routes=list(routes))
    # A path that is nearly one of ours is none, and is not answered with an address made of what the client says.
    app.router.redirect_slashes = False
    return app


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
