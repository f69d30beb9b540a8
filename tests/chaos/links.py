"""The links between services and what they talk to, each through a proxy of its own."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from chaos.proxy import HOST, Link, Toxic

SERVERS = {
    "DUEBELL_AMQP_URL": "rabbitmq",
    "DUEBELL_REDIS_URL": "redis",
    "DUEBELL_XERO_API_URL": "xero",
    "DUEBELL_XERO_IDENTITY_URL": "xero",
    "DUEBELL_WHATSAPP_API_URL": "whatsapp",
}
"""Variable → what it leads to."""
_CLOCK = Path(__file__).parent / "clock"


@dataclass(frozen=True)
class Links:
    """Name → link; a name is ``‹service›>‹server›``, such as ``fetcher>redis``.

    They run in a thread of their own, so that nothing else that the harness does delays what passes.
    """

    all: Mapping[str, Link]
    loop: asyncio.AbstractEventLoop

    def matching(self, pattern: str) -> list[Link]:
        return [link for name, link in self.all.items() if fnmatchcase(name, pattern)]

    async def poison(self, links: Iterable[Link], toxic: Toxic) -> None:
        """Return when all of ``links`` behave like that."""

        async def change() -> None:
            for link in links:
                link.poison(toxic)

        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(change(), self.loop))


@asynccontextmanager
async def through_proxies(folder: Path, services: Mapping[str, str], seed: int) -> AsyncIterator[Links]:
    """Start a proxy for every link and write its port into the services' launch files; they use it once restarted.

    From then on their time of day can be moved as well.

    Args:
        folder: the stack's.
        services: name of the process → service.
    """
    links: dict[str, Link] = {}
    async with AsyncExitStack() as closing:
        loop = closing.enter_context(_loop_of_its_own())
        for process, service in services.items():
            file = folder / "programs" / f"{process}.json"
            launch: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            for variable, server in SERVERS.items():
                url = launch["environment"].get(variable)
                if url is None:
                    continue
                name = f"{service}>{server}"
                if name not in links:
                    port = urlsplit(url).port or 0
                    link = Link(name, port, Random(f"{seed} {name}"))
                    links[name] = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(link.start(), loop))
                launch["environment"][variable] = with_port(url, links[name].port)
            launch["environment"] |= {"PYTHONPATH": str(_CLOCK), "CHAOS_CLOCK": str(clock_file(folder, service))}
            file.write_text(json.dumps(launch), encoding="utf-8")
        try:
            yield Links(links, loop)
        finally:
            for link in links.values():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(link.stop(), loop))


@contextmanager
def _loop_of_its_own() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="links", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


def clock_file(folder: Path, service: str) -> Path:
    """Where :mod:`sitecustomize` of the folder ``clock`` looks; none is there while all is right."""
    return folder / f"clock-{service}"


def with_port(url: str, port: int) -> str:
    """The same address with another port on this machine."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{HOST}:{port}"))
