"""Real RabbitMQ, Redis and PostgreSQL servers for a test session, and fresh places inside them for each test.

In containers where an engine can run them, else as private native servers in a temporary folder. The variable
``TEST_SERVERS`` (``native`` or ``containers``) decides otherwise.
"""

import asyncio
import itertools
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import redis
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.errors import StackError
from deploy.passwords import ADMINISTRATOR
from deploy.ports import LOOPBACK
from deploy.servers.broker import amqp_url, answers_amqp
from deploy.servers.management import Management
from deploy.servers.private import PrivateServers
from deploy.supervision import Supervisor
from deploy.waiting import wait_until
from shared.topology.permissions import permissions

RABBITMQ_IMAGE = "rabbitmq:4-management"
REDIS_IMAGE = "redis:7-alpine"
POSTGRESQL_IMAGE = "postgres:16-alpine"

_DATABASES = 256
_READY_SECONDS = 120

DatabaseKind = Literal["sqlite", "postgresql"]


@dataclass(frozen=True)
class Infra:
    """Where the session's servers are: addresses are ``host:port``, ``folder`` is for files of tests."""

    amqp_address: str
    management_url: str
    password: str
    redis_server: str
    """A Redis URL with the user and without a database number."""
    postgresql_server: str
    """A PostgreSQL URL of the server's own database."""
    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: itertools.cycle(range(1, _DATABASES)))

    def management(self) -> Management:
        return Management(self.management_url, ADMINISTRATOR, self.password)

    def amqp_url(self, vhost: str) -> str:
        return amqp_url(ADMINISTRATOR, self.password, self.amqp_address, vhost)


@contextmanager
def servers() -> Iterator[Infra]:
    """Start the three servers once, for the whole session, and stop them at its end."""
    choice = os.environ.get("TEST_SERVERS", "")
    folder = Path(tempfile.mkdtemp(prefix="duebell-test-"))
    # PostgreSQL refuses root and so runs as another user, who has to pass through.
    folder.chmod(0o711)
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        if choice == "containers" or (choice != "native" and _images_are_here()):
            yield cleanup.enter_context(_containers(folder))
        else:
            yield cleanup.enter_context(_native(folder))


@contextmanager
def fresh_vhost(infra: Infra) -> Iterator[str]:
    """An AMQP URL, as administrator, of an empty virtual host that is deleted afterwards."""
    vhost = f"test-{secrets.token_hex(6)}"
    with infra.management() as management:
        management.make_vhost(vhost)
        try:
            yield infra.amqp_url(vhost)
        finally:
            management.delete_vhost(vhost)


def service_urls(infra: Infra, administrator_url: str) -> dict[str, str]:
    """Service → AMQP URL of a user with exactly that service's rights in the virtual host of ``administrator_url``."""
    vhost = urlsplit(administrator_url).path.removeprefix("/")
    urls = {}
    with infra.management() as management:
        for service, rights in permissions().items():
            user, password = f"{vhost}-{service}", secrets.token_urlsafe(12)
            management.set_user(user, password)
            management.set_rights(vhost, user, rights)
            urls[service] = amqp_url(user, password, infra.amqp_address, vhost)
    return urls


@contextmanager
def fresh_redis(infra: Infra) -> Iterator[str]:
    """The URL of an empty Redis database, emptied again afterwards."""
    url = f"{infra.redis_server}/{next(infra.numbers)}"
    client = redis.Redis.from_url(url)
    try:
        client.flushdb()
        yield url
        client.flushdb()
    finally:
        client.close()


@asynccontextmanager
async def fresh_database(infra: Infra, kind: DatabaseKind) -> AsyncIterator[str]:
    """The URL of an empty database (``sqlite:///…`` or ``postgresql://…``), deleted afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    if kind == "sqlite":
        yield f"sqlite:///{infra.folder / name}.db"
        return
    await _execute(infra.postgresql_server, f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(infra.postgresql_server)._replace(path=f"/{name}"))
    finally:
        await _execute(infra.postgresql_server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _execute(url: str, statement: str) -> None:
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(sa.text(statement))
    finally:
        await engine.dispose()


@contextmanager
def _native(folder: Path) -> Iterator[Infra]:
    private = PrivateServers(folder, ["rabbitmq", "redis", "postgresql"])
    supervisor = Supervisor(folder, folder / "log", tied=True)
    programs = private.programs(lambda line: sys.stderr.write(line + "\n"))
    try:
        # What is thrown away need not spend seconds on an orderly stop.
        supervisor.configure([replace(p, stop_signal="KILL") if p.service == "rabbitmq" else p for p in programs])
        for program in programs:
            supervisor.start(program.name)
        private.wait(supervisor, folder / "log")
        yield Infra(
            amqp_address=f"{LOOPBACK}:{private.ports['amqp']}",
            management_url=private.broker.management_url,
            password=private.passwords[ADMINISTRATOR],
            redis_server=private.redis.url().rpartition("/")[0],
            postgresql_server=private.postgresql.url(),
            folder=folder,
        )
    finally:
        supervisor.shutdown()


def _images_are_here() -> bool:
    """Whether an engine answers and has, or can get, every image."""
    if shutil.which("docker") is None or not _succeeds(["docker", "info"], seconds=3):
        return False
    return all(map(_is_obtainable, (RABBITMQ_IMAGE, REDIS_IMAGE, POSTGRESQL_IMAGE)))


def _is_obtainable(image: str) -> bool:
    inspect, pull = ["docker", "image", "inspect", image], ["docker", "pull", image]
    return _succeeds(inspect, seconds=10) or _succeeds(pull, seconds=300)


def _succeeds(command: list[str], seconds: float) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


@contextmanager
def _containers(folder: Path) -> Iterator[Infra]:
    # Only needed here, and slow to import.
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    # The reaper removes containers of a session that was killed; it is an image too, and a machine may lack it.
    testcontainers_config.ryuk_disabled = not _is_obtainable(testcontainers_config.ryuk_image)
    password = secrets.token_urlsafe(24)
    broker, cache, database = map(DockerContainer, (RABBITMQ_IMAGE, REDIS_IMAGE, POSTGRESQL_IMAGE))
    broker.with_env("RABBITMQ_DEFAULT_USER", ADMINISTRATOR).with_env("RABBITMQ_DEFAULT_PASS", password)
    cache.with_command(f"redis-server --requirepass {password} --databases {_DATABASES}")
    database.with_env("POSTGRES_USER", ADMINISTRATOR).with_env("POSTGRES_PASSWORD", password)
    for container, ports in ((broker, (5672, 15672)), (cache, (6379,)), (database, (5432,))):
        # The library itself would publish them on every address of the machine.
        published: dict[str, Any] = {str(port): (LOOPBACK, None) for port in ports}
        container.ports.update(published)
    with broker, cache, database:
        amqp_port = int(broker.get_exposed_port(5672))
        infra = Infra(
            amqp_address=f"{LOOPBACK}:{amqp_port}",
            management_url=f"http://{LOOPBACK}:{broker.get_exposed_port(15672)}",
            password=password,
            redis_server=f"redis://:{password}@{LOOPBACK}:{cache.get_exposed_port(6379)}",
            postgresql_server=f"postgresql://{ADMINISTRATOR}:{password}@{LOOPBACK}:{database.get_exposed_port(5432)}/postgres",
            folder=folder,
        )
        if not wait_until(lambda: answers_amqp(LOOPBACK, amqp_port) and _all_answer(infra), _READY_SECONDS):
            raise StackError("the containers were not ready in time")
        yield infra


def _all_answer(infra: Infra) -> bool:
    client = redis.Redis.from_url(f"{infra.redis_server}/0")
    try:
        client.ping()
        asyncio.run(_execute(infra.postgresql_server, "SELECT 1"))
    except (redis.RedisError, OSError, sa.exc.SQLAlchemyError):
        return False
    finally:
        client.close()
    with infra.management() as management:
        return management.is_ready()
