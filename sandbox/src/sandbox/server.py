"""Serves the application on one port, keeping hold of its connections so that faults can cut them."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.app import create_app


class CuttableProtocol(H11Protocol):
    """Uvicorn's protocol, with each open connection's transport kept under its client's address."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Remember the transport."""
        super().connection_made(transport)
        self.app_state.setdefault("transports", {})[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport."""
        self.app_state.get("transports", {}).pop(self.client, None)
        super().connection_lost(exc)


class AnnouncingServer(uvicorn.Server):
    """A server that says when it is ready and leaves signals to us."""

    def __init__(self, config: uvicorn.Config, url: str, port_file: Path | None) -> None:
        """Remember what to announce."""
        super().__init__(config)
        self.url, self.port_file = url, port_file

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal ends the server and nothing more, so that the exit code is 0."""
        loop = asyncio.get_running_loop()
        for wanted in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(wanted, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then announce."""
        await super().startup(sockets)
        if self.port_file is not None:
            self.port_file.write_text(self.url.rpartition(":")[2], encoding="utf-8")
        typer.echo(f"sandbox ready {self.url}")


def serve(host: str, port: int, port_file: Path | None) -> None:
    """Serve until SIGTERM or SIGINT; port 0 takes any free one."""
    # asyncio sends small answers at once only on sockets that name TCP as their protocol
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(512)
    url = f"http://{host}:{listening.getsockname()[1]}"
    options: dict[str, Any] = {"log_level": "warning", "access_log": False, "lifespan": "on"}
    # Were it as short as a client's own patience, requests would meet connections that are just being closed.
    options["timeout_keep_alive"] = 60
    config = uvicorn.Config(create_app(), http=CuttableProtocol, ws="none", timeout_graceful_shutdown=2, **options)
    asyncio.run(AnnouncingServer(config, url, port_file).serve(sockets=[listening]))
