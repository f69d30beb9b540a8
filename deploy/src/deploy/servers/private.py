"""The private servers of one folder together: installed, described, waited for."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from deploy.errors import StackError
from deploy.files import private_folder
from deploy.passwords import ADMINISTRATOR, load_passwords
from deploy.ports import PortBook
from deploy.program import Program
from deploy.servers import broker, cache, database, packages
from deploy.servers.broker import PrivateBroker
from deploy.servers.cache import PrivateRedis
from deploy.servers.database import PrivatePostgresql
from deploy.servers.management import Management
from deploy.starting import wait_for_all
from deploy.supervision import Supervisor

_KINDS = {
    "rabbitmq": (packages.RABBITMQ, broker.PORTS),
    "redis": (packages.REDIS, cache.PORTS),
    "postgresql": (packages.POSTGRESQL, database.PORTS),
}
_READY_SECONDS = 120

T = TypeVar("T")


class PrivateServers:
    """RabbitMQ, Redis and PostgreSQL as far as ``kinds`` names them.

    Args:
        folder: where their data, ports and passwords are kept.
        kinds: of ``rabbitmq``, ``redis``, ``postgresql``.
        services: each gets a user of its own.
        fixed_ports: prefer the well-known ports of a long-lived stack to random ones.
    """

    def __init__(
        self, folder: Path, kinds: Iterable[str], *, services: Iterable[str] = (), fixed_ports: bool = False
    ) -> None:
        self._folder = folder
        self._kinds = tuple(kinds)
        self._services = tuple(services)
        self._fixed_ports = fixed_ports
        self.ports = PortBook(private_folder(folder) / "ports.json")
        self.passwords = load_passwords(folder / "passwords.json", [ADMINISTRATOR, *self._services])
        self._broker: PrivateBroker | None = None
        self._redis: PrivateRedis | None = None
        self._postgresql: PrivatePostgresql | None = None

    @property
    def broker(self) -> PrivateBroker:
        return _made(self._broker)

    @property
    def redis(self) -> PrivateRedis:
        return _made(self._redis)

    @property
    def postgresql(self) -> PrivatePostgresql:
        return _made(self._postgresql)

    def programs(self, say: Callable[[str], object], running: Iterable[str] = ()) -> list[Program]:
        """Install what is missing, choose ports, write the servers' files.

        Args:
            say: told what takes long.
            running: the kinds that run already and so keep their ports.
        """
        kinds = {kind: _KINDS[kind] for kind in self._kinds}
        paths = packages.ensure([server for server, _ in kinds.values()], self._folder / "install.log", say)
        wishes: dict[str, int | None] = {}
        keep: list[str] = []
        for kind, (_, ports) in kinds.items():
            wishes |= {name: port if self._fixed_ports else None for name, port in ports.items()}
            keep += ports if kind in running else ()
        self.ports.assign(wishes, keep)
        self._make(paths)
        made = (self._broker, self._redis, self._postgresql)
        return [program for server in made if server is not None for program in server.programs()]

    def _make(self, paths: Mapping[packages.Server, Path]) -> None:
        if script := paths.get(packages.RABBITMQ):
            self._broker = PrivateBroker(self._folder / "rabbitmq", script, self.ports, self.passwords)
        if program := paths.get(packages.REDIS):
            folder = self._folder / "redis"
            self._redis = PrivateRedis(folder, program, self.ports, self.passwords, self._services)
        if program := paths.get(packages.POSTGRESQL):
            self._postgresql = PrivatePostgresql(self._folder / "postgresql", program, self.ports, self.passwords)

    def management(self) -> Management:
        """A client of the private broker's HTTP API as its administrator."""
        return Management(self.broker.management_url, ADMINISTRATOR, self.passwords[ADMINISTRATOR])

    def wait(self, supervisor: Supervisor, logs: Path) -> None:
        """Return when every server answers in its own protocol.

        Raises:
            StackError: one did not within two minutes, or ended; the end of its log is in ``details``.
        """
        ready: dict[str, Callable[[], bool]] = {}
        if self._redis is not None:
            ready["redis-1"] = self._redis.is_ready
        if self._postgresql is not None:
            ready["postgresql-1"] = self._postgresql.is_ready
        if self._broker is not None:
            ready["rabbitmq-1"] = self._broker_is_ready
        wait_for_all(supervisor, ready, _READY_SECONDS, logs)

    def _broker_is_ready(self) -> bool:
        if not self.broker.is_ready():
            return False
        with self.management() as management:
            return management.is_ready()


def _made(server: T | None) -> T:
    if server is None:
        raise StackError("this server is not part of the stack, or programs() was not called yet")
    return server
