"""The links between services and what they talk to, each through a proxy of its own."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from chaos.balancer import Balancer
from chaos.policy import POLICY
from chaos.proxy import HOST, Link, Toxic
from deploy.program import Program
from deploy.stack import Stack
from deploy.supervision import Changes

SERVERS = {
    "DUEBELL_AMQP_URL": "rabbitmq",
    "DUEBELL_REDIS_URL": "redis",
    "DUEBELL_XERO_API_URL": "xero",
    "DUEBELL_XERO_IDENTITY_URL": "xero",
    "DUEBELL_WHATSAPP_API_URL": "whatsapp",
    "DUEBELL_NOTIFIER_DATABASE_URL": "postgresql",
    "DUEBELL_TOKEN_BROKER_DATABASE_URL": "postgresql",
}
"""Variable → what it leads to."""
_INSIDE = Path(__file__).parent / "inside"
_TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Links:
    """Name → link; a name is ``‹service›>‹server›``, such as ``fetcher>redis``.

    They run in a thread of their own, so that nothing else that the harness does delays what passes.
    """

    all: dict[str, Link]
    loop: asyncio.AbstractEventLoop
    seed: int

    def matching(self, pattern: str) -> list[Link]:
        return [link for name, link in self.all.items() if fnmatchcase(name, pattern)]

    async def poison(self, links: Iterable[Link], toxic: Toxic) -> None:
        """Return when all of ``links`` behave like that."""

        async def change() -> None:
            for link in links:
                link.poison(toxic)

        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(change(), self.loop))

    @asynccontextmanager
    async def shared_out(self, balancer: Balancer) -> AsyncIterator[None]:
        """RabbitMQ's links lead to several nodes from now on; who is connected already is shared out anew."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(balancer.start(), self.loop))
        links = self.matching("*>rabbitmq")
        for link in links:
            link.route = balancer.route
        await self.poison(links, Toxic.RESET)
        await self.poison(links, Toxic.NONE)
        try:
            yield
        finally:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(balancer.stop(), self.loop))

    def lead(self, folder: Path, process: str, service: str) -> None:
        """Lead a process that does not run yet through proxies; from then on its time of day can be moved as well,
        and traps can be armed in it.

        Args:
            folder: the stack's.
        """
        file = folder / "programs" / f"{process}.json"
        launch: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        for variable, server in SERVERS.items():
            url = launch["environment"].get(variable)
            # A file has no port.
            if url is not None and (port := urlsplit(url).port):
                link = self._link(f"{service}>{server}", port)
                launch["environment"][variable] = with_port(url, link.port)
        launch["environment"] |= {
            "PYTHONPATH": f"{_INSIDE}:{_TESTS}",
            "CHAOS_CLOCK": str(clock_file(folder, service)),
            "CHAOS_SERVICE": service,
            "CHAOS_TRAPS": str(traps_folder(folder, service)),
        }
        file.write_text(json.dumps(launch), encoding="utf-8")

    def _link(self, name: str, port: int) -> Link:
        if name not in self.all:
            link = Link(name, port, Random(f"{self.seed} {name}"))
            self.all[name] = asyncio.run_coroutine_threadsafe(link.start(), self.loop).result(timeout=10)
        return self.all[name]


class BehindProxies(Stack):
    """Its services reach every server through a proxy, from their first start on."""

    def __init__(self, folder: Path, env: Mapping[str, str], links: Links) -> None:
        super().__init__(folder, env, None, sandbox=True, tied=True)
        self._links = links

    def _start(self, changes: Changes, programs: list[Program], concerned: Callable[[str], bool]) -> None:
        for program in programs:
            if not program.is_server:
                self._links.lead(self.folder, program.name, program.service)
        super()._start(changes, programs, concerned)


def installation(folder: Path, links: Links, variables: Mapping[str, str]) -> Stack:
    """Not started yet; ``variables`` say what its services are told beside the policy."""
    folder.mkdir(parents=True, exist_ok=True)
    policy = folder / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    return BehindProxies(folder, {"DUEBELL_POLICY_FILE": str(policy), **variables}, links)


@contextmanager
def proxies(seed: int) -> Iterator[Links]:
    """None yet; whoever starts a service leads it through them."""
    with _loop_of_its_own() as loop:
        links = Links({}, loop, seed)
        try:
            yield links
        finally:
            for link in links.all.values():
                asyncio.run_coroutine_threadsafe(link.stop(), loop).result(timeout=10)


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
    """Where :mod:`sitecustomize` of the folder ``inside`` looks; none is there while all is right."""
    return folder / f"clock-{service}"


def traps_folder(folder: Path, service: str) -> Path:
    """Where traps are armed, and tell what they struck."""
    return folder / f"traps-{service}"


def with_port(url: str, port: int) -> str:
    """The same address with another port on this machine."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{HOST}:{port}"))
