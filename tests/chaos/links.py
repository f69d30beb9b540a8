"""The links between services and what they talk to, each through a proxy of its own."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from chaos.proxy import HOST, Link

SERVERS = {
    "DUEBELL_AMQP_URL": "rabbitmq",
    "DUEBELL_REDIS_URL": "redis",
    "DUEBELL_XERO_API_URL": "xero",
    "DUEBELL_XERO_IDENTITY_URL": "xero",
    "DUEBELL_WHATSAPP_API_URL": "whatsapp",
}
"""Variable → what it leads to."""


@dataclass(frozen=True)
class Links:
    """Name → link; a name is ``‹service›>‹server›``, such as ``fetcher>redis``."""

    all: Mapping[str, Link]

    def matching(self, pattern: str) -> Iterator[Link]:
        return (link for name, link in self.all.items() if fnmatchcase(name, pattern))


@asynccontextmanager
async def through_proxies(folder: Path, services: Mapping[str, str], seed: int) -> AsyncIterator[Links]:
    """Start a proxy for every link and write its port into the services' launch files; they use it once restarted.

    Args:
        folder: the stack's.
        services: name of the process → service.
    """
    links: dict[str, Link] = {}
    async with AsyncExitStack() as closing:
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
                    links[name] = await Link(name, port, Random(f"{seed} {name}")).start()
                    closing.push_async_callback(links[name].stop)
                launch["environment"][variable] = with_port(url, links[name].port)
            file.write_text(json.dumps(launch), encoding="utf-8")
        yield Links(links)


def with_port(url: str, port: int) -> str:
    """The same address with another port on this machine."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{HOST}:{port}"))
