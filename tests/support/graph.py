"""A WhatsApp that counts what it takes and fails its first answer to each recipient as it is told."""

import asyncio
import json
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx

from notifier.adapters.whatsapp import WhatsAppProvider
from notifier.ports import Outcome, TemplateMessage

TAKEN = ("accept_then_reset", "accept_then_hang", "500_after", "truncated_200")
UNSENT = ("429", "refused", "tls_failure")
NEVER_KNOWN = ("500_before",)
KINDS = (*TAKEN, *NEVER_KNOWN, *UNSENT)
_PATH = "/v25.0/1/messages"
_SOON_SECONDS = 0.3
_LONG_SECONDS = 15.0


class Graph:
    """``faults``: recipient → what its first POST meets. ``taken`` holds every message it accepted."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self._faults = dict(faults)
        self.taken: list[dict[str, Any]] = []
        self._ways: dict[str, WhatsAppProvider] = {}

    @property
    def copies(self) -> Counter[str]:
        """How often each recipient's message was accepted."""
        return Counter(message["to"] for message in self.taken)

    async def send(self, message: TemplateMessage, attempt_ref: str) -> Outcome:
        """As :class:`notifier.ports.SendsMessages`, over a real socket."""
        kind = self._faults.get(message.to, "")
        way = self._ways.get(kind, self._ways[""])
        if kind in {"refused", "tls_failure"}:
            del self._faults[message.to]
        return await way.send(message, attempt_ref)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        first = await reader.read(1)
        if first != b"P":  # TLS said to a plain server, or nothing
            writer.close()
            return
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l"))
        asked = json.loads(await reader.readexactly(length))
        kind = self._faults.pop(asked["to"], "")
        if kind in {"", *TAKEN}:
            self.taken.append(asked)
        accepted = json.dumps({"messages": [{"id": f"wamid.{asked['biz_opaque_callback_data']}"}]}).encode()
        match kind:
            case "":
                _respond(writer, 200, accepted)
            case "accept_then_reset":
                connection: socket.socket = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            case "accept_then_hang":
                await reader.read()
            case "500_before" | "500_after":
                _respond(writer, 500, b"<html>Internal Server Error</html>")
            case "truncated_200":
                _respond(writer, 200, accepted, sent=len(accepted) // 2)
            case "429":
                _respond(writer, 429, json.dumps({"error": {"code": 130429, "message": "slow down"}}).encode())
        writer.close()


def _respond(writer: asyncio.StreamWriter, status: int, body: bytes, sent: int | None = None) -> None:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    writer.write(head.encode() + b"connection: close\r\n\r\n" + body[:sent])


@asynccontextmanager
async def graph(faults: Mapping[str, str]) -> AsyncIterator[Graph]:
    double = Graph(faults)
    async with AsyncExitStack() as opened:
        server = await asyncio.start_server(double.answer, "127.0.0.1", 0)
        opened.callback(server.close)
        port = server.sockets[0].getsockname()[1]
        nobody = socket.socket()
        opened.callback(nobody.close)
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused

        async def way(url: str, seconds: float = _LONG_SECONDS) -> WhatsAppProvider:
            client = await opened.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False, timeout=None))
            return WhatsAppProvider(client, path=_PATH, deadline_seconds=seconds)

        double._ways = {
            "": await way(f"http://127.0.0.1:{port}"),
            "accept_then_hang": await way(f"http://127.0.0.1:{port}", _SOON_SECONDS),
            "refused": await way(f"http://127.0.0.1:{nobody.getsockname()[1]}"),
            "tls_failure": await way(f"https://127.0.0.1:{port}"),
        }
        yield double
