"""The installation under test, and every handle by which a fault can take hold of it."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from secrets import token_bytes
from signal import Signals
from typing import Any
from urllib.parse import quote

import aio_pika
import httpx
import redis.asyncio

from chaos.cluster import Cluster, rabbitmqctl
from chaos.databases import Databases
from chaos.history import History
from chaos.links import Links, clock_file, traps_folder
from chaos.log_lines import tail_of
from chaos.until import NotInTime, all_ready, until
from deploy.readiness import is_ready
from deploy.servers.broker import VHOST
from deploy.stack import Stack
from deploy.supervision import Supervisor, read_json
from sandbox.client import Sandbox
from shared.topology.queues import SERVICES, dead_queue
from support.town import Town

READY_SECONDS = 120.0


@dataclass
class Scene:
    """One running installation; ``links`` are the proxies between its services and what they talk to."""

    stack: Stack
    links: Links
    sandbox: Sandbox
    http: httpx.AsyncClient
    management: httpx.AsyncClient
    history: History
    supervisor: Supervisor
    databases: Databases
    tenants: list[str] = field(default_factory=list)
    webhook_key: str = "sandbox-webhook-key"
    app_secret: str = "sandbox-app-secret"
    full: bool = False
    """Attacks have the size that is published."""
    cluster: Cluster | None = None
    punctual: str = ""
    """The organisation whose daily scan is due whenever a fault wants it; none until one does."""
    names: dict[str, str] = field(default_factory=dict)
    """An organisation's name → its tenant id."""

    masking: bytes = field(default_factory=partial(token_bytes, 16), repr=False)

    def masked(self, phone: str) -> str:
        """The same for the same number, and only within this run: a history shows nobody's number."""
        return blake2b(tail_of(phone).encode(), key=self.masking, digest_size=6).hexdigest()

    @property
    def town(self) -> Town:
        return Town(self.stack, self.sandbox, self.http)

    async def organisation(self, name: str, user: str | None = None) -> str:
        """Another connected one, by a user of its own where one is named; its tenant id."""
        self.names[name] = await self.town.organisation(user, name=name)
        return self.names[name]

    def clock(self, service: str) -> Path:
        """The file that says by how many seconds the service's time of day is wrong."""
        return clock_file(self.stack.folder, service)

    def traps(self, service: str) -> Path:
        """The folder in which traps of the service are armed."""
        return traps_folder(self.stack.folder, service)

    def pid(self, service: str) -> int:
        """Of the process that runs now, 0 when there is none."""
        found = self.supervisor.processes().get(f"{service}-1")
        return found.pid if found else 0

    async def another(self, service: str, than: int, seconds: float = READY_SECONDS) -> None:
        """Return when another process of ``service`` runs than the one with that pid."""
        await until(lambda: self.pid(service) not in {0, than}, seconds, f"another {service}")

    async def kill(self, service: str, signal: Signals) -> None:
        """Signal a process and return once it has ended, whoever comes after it."""
        before = self.pid(service)
        self.stack.kill(service, signal)
        await self.another(service, before)

    async def ready(self, seconds: float = READY_SECONDS, service: str = "") -> bool:
        """Whether every process, or every one of a service, answers within that time."""
        rows = [row for row in self.stack.record.rows if row.service != "epmd" and service in {"", row.service}]
        end = asyncio.get_running_loop().time() + seconds
        if not await asyncio.to_thread(all_ready, rows, seconds):
            return False
        if self.cluster is None:
            return True
        with suppress(NotInTime):
            await until(self.cluster.is_whole, max(0.0, end - asyncio.get_running_loop().time()), "a whole cluster")
            return True
        return False

    async def rabbitmqctl(self, *arguments: str) -> str:
        """One administrator's command on the node; its output."""
        launch = read_json(self.stack.folder / "programs" / "rabbitmq-1.json")
        return await rabbitmqctl(launch, *arguments)

    def redis(self) -> redis.asyncio.Redis:
        """A client as administrator, past the proxies."""
        return redis.asyncio.Redis.from_url(self.stack.redis_url, socket_timeout=5)

    async def bind(self, exchange: str, queue: str, key: str, *, kind: str = "q") -> None:
        path = f"/api/bindings/{VHOST}/e/{quote(exchange, safe='')}/{kind}/{quote(queue, safe='')}"
        answer = await self.management.post(path, json={"routing_key": key, "arguments": {}})
        answer.raise_for_status()

    async def unbind(self, exchange: str, queue: str, key: str, *, kind: str = "q") -> None:
        path = f"/api/bindings/{VHOST}/e/{quote(exchange, safe='')}/{kind}/{quote(queue, safe='')}"
        answer = await self.management.delete(f"{path}/{quote(key, safe='')}")
        answer.raise_for_status()

    async def put_into(self, queue: str, body: bytes, **properties: Any) -> None:
        """A persistent message right into a queue, as nobody but an administrator can."""
        order = {
            "routing_key": queue,
            "payload": body.decode("latin-1"),
            "payload_encoding": "string",
            "properties": {"delivery_mode": 2, "content_type": "application/json", **properties},
        }
        answer = await self.management.post(f"/api/exchanges/{VHOST}/amq.default/publish", json=order)
        answer.raise_for_status()
        if not answer.json()["routed"]:
            raise NotInTime(f"{queue} did not take a message")

    async def queues(self) -> list[dict[str, Any]]:
        answer = await self.management.get(f"/api/queues/{VHOST}", params={"disable_stats": "true"})
        answer.raise_for_status()
        rows: list[dict[str, Any]] = answer.json()
        return rows

    async def dead_letters(self) -> int:
        """How many wait now, by the queues' own counts and not by the statistics, which come late."""
        connection = await aio_pika.connect(self.stack.amqp_admin_url, timeout=10)
        async with connection:
            channel = await connection.channel(publisher_confirms=False)
            queues = [await channel.declare_queue(dead_queue(service), passive=True) for service in SERVICES]
            return sum(queue.declaration_result.message_count or 0 for queue in queues)

    def answers(self, service: str) -> bool:
        """Whether the process does its work now."""
        return is_ready(self.stack.record.row(service))

    async def messages_in(self, queue: str, most: int = 5000) -> list[dict[str, Any]]:
        """A look at what waits in a queue, as the management interface shows it; everything is left there."""
        order = {"count": most, "ackmode": "ack_requeue_true", "encoding": "auto"}
        answer = await self.management.post(f"/api/queues/{VHOST}/{queue}/get", json=order)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found
