"""A connection on which nobody corrects what is sent, and what came back on it."""

import asyncio
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_HEAD_END = b"\r\n\r\n"
_MOST = 1 << 20


@dataclass(frozen=True)
class Answer:
    """``status`` is None when the connection ended, or nothing came in time; ``body`` counts bytes.

    ``held``: the connection was let be for as long as it was tried.
    """

    status: int | None
    body: int = 0
    cookie: bool = False
    closes: bool = True
    held: bool = False

    @property
    def word(self) -> str:
        return "held" if self.held else str(self.status or "none")


NONE = Answer(None)


class Wire:
    """One TCP connection to a port on this machine; a ``window`` is how many bytes it can hold that are not read."""

    def __init__(self, port: int, window: int = 0) -> None:
        self._port = port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        if window:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self._held = b""
        self.status: int | None = None

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(10):
            await asyncio.get_running_loop().sock_connect(self._socket, (HOST, self._port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    async def send(self, data: bytes) -> None:
        """Raises OSError when the other side has closed."""
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def answer(self, seconds: float, *, bodiless: bool = False) -> Answer:
        """The next one, whatever of the request is still being sent; ``bodiless`` if only a head was asked for."""
        try:
            async with asyncio.timeout(seconds):
                return await self._answer(bodiless=bodiless)
        except (OSError, TimeoutError):
            return NONE

    async def closed(self, seconds: float) -> bool:
        """Whether the other side ends the connection within that time; what it says before does not matter."""
        try:
            async with asyncio.timeout(seconds):
                while await self._more():
                    self._held = b""
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    async def _more(self) -> bool:
        data = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        self._held += data
        if self.status is None and (found := _STATUS.match(data)):
            self.status = int(found[1])
        return bool(data)

    async def _answer(self, *, bodiless: bool) -> Answer:
        while _HEAD_END not in self._held:
            if len(self._held) > _MOST or not await self._more():
                return NONE
        head, _, self._held = self._held.partition(_HEAD_END)
        found = _STATUS.match(head)
        if found is None:
            return NONE
        status = int(found[1])
        if status == 100:
            return await self._answer(bodiless=bodiless)
        lower = head.lower()
        closes = b"\r\nconnection: close" in lower
        cookie = b"\r\nset-cookie:" in lower
        if bodiless:
            return Answer(status, 0, cookie, closes)
        length = _LENGTH.search(head)
        if length is None:
            # It ends with the connection.
            while len(self._held) < _MOST and await self._more():
                pass
            body, self._held, closes = len(self._held), b"", True
        else:
            body = int(length[1])
            while len(self._held) < body and await self._more():
                pass
            self._held = self._held[body:]
        return Answer(status, body, cookie, closes)


def request(method: str, path: str, headers: list[tuple[str, str]], body: bytes, *, length: bool = True) -> bytes:
    """As it goes over the wire; names and values as they stand."""
    lines = [f"{method} {path} HTTP/1.1", "host: door", *(f"{name}: {value}" for name, value in headers)]
    if length:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def ask(port: int, pieces: Iterable[bytes], seconds: float = 10.0) -> Answer:
    """Send all pieces on a fresh connection and return the answer, which may come before they are all sent."""
    try:
        async with Wire(port) as wire:
            sending = asyncio.create_task(_all(wire, pieces))
            try:
                return await wire.answer(seconds)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
    except (OSError, TimeoutError):
        return NONE


async def _all(wire: Wire, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        await wire.send(piece)
