"""One installation on this machine: servers, topology, services and, when wished, the sandbox."""

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from signal import Signals

from deploy import doubles
from deploy.environment import check_names, of_the_machine
from deploy.errors import StackError
from deploy.files import private_folder
from deploy.installation import AMQP, REDIS, Installation, trial_secrets
from deploy.paths import PYTHON, ROOT
from deploy.program import Program
from deploy.readiness import is_ready, state_of
from deploy.record import Record, Row, read_record, write_record
from deploy.scale import parse_scale
from deploy.servers.broker import VHOST
from deploy.servers.private import PrivateServers
from deploy.services import NAMES
from deploy.starting import wait_for_all
from deploy.supervision import Changes, Supervisor
from deploy.waiting import wait_until
from shared.topology.permissions import permissions

_READY_SECONDS = 90


@dataclass(frozen=True)
class ProcessStatus:
    """A line of ``make ps``; ``state`` as :func:`state_of` says it; ``pid`` is 0 when there is none."""

    service: str
    replica: int
    pid: int
    port: int
    state: str
    url: str


class Stack:
    """Everything of one installation lies in ``folder``; two in two folders do not meet.

    Args:
        folder: data, passwords, ports and sockets.
        env: the ``DUEBELL_`` variables that were given; the rest is completed with the private servers' and, for
            databases, files under ``folder``.
        scale: service → replicas, one each by default; a service may be left out with 0.
        sandbox: also run the doubles of Xero and WhatsApp and point the services at them.
        fixed_ports: take the documented ports where ``env`` names none, instead of free ones.
        logs: where the logs lie, ``folder/log`` by default.
        tied: end with the calling process.
        say: told, in short lines, what takes long.
    """

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str] | None = None,
        scale: Mapping[str, int] | None = None,
        sandbox: bool = False,
        *,
        fixed_ports: bool = False,
        logs: Path | None = None,
        tied: bool = False,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.folder = folder.resolve()
        self.logs = (logs or folder / "log").resolve()
        self._given = dict(env or {})
        self._scale = {**parse_scale("", NAMES), **(scale or {})}
        self._sandbox = sandbox
        self._fixed_ports = fixed_ports
        self._say = say
        self._supervisor = Supervisor(self.folder, self.logs, tied=tied)

    def up(self) -> None:
        """Start or change everything; returns when every service is ready.

        Raises:
            StackError: what failed, with the end of its log. What this call started from nothing is stopped again.
        """
        check_names(self._given)
        with self._locked():
            with ExitStack() as unless_done:
                if not self._supervisor.is_alive():
                    unless_done.callback(self._supervisor.shutdown)
                self._up()
                unless_done.pop_all()

    def down(self) -> None:
        """Stop everything, the services first and together; data stays."""
        with self._locked():
            self._supervisor.shutdown()

    def processes(self) -> list[ProcessStatus]:
        """One entry per process that should run, in the order of the data's way; none when nothing was started."""
        supervised = self._supervisor.processes()
        if not supervised:
            return []
        rows = [row for row in self.record.rows if row.service != "epmd"]

        def status(row: Row) -> ProcessStatus:
            process = supervised.get(row.name)
            pid, state = (process.pid, process.state) if process else (0, "STOPPED")
            return ProcessStatus(row.service, row.replica, pid, row.port, state_of(state, row), row.url)

        with ThreadPoolExecutor(max_workers=8) as pool:
            return list(pool.map(status, rows))

    @property
    def record(self) -> Record:
        return read_record(self.folder / "stack.json")

    @property
    def amqp_admin_url(self) -> str:
        return self.record.amqp_admin_url

    @property
    def management_url(self) -> str:
        """RabbitMQ's management page, empty when the broker is not ours."""
        return self.record.management_url

    @property
    def redis_url(self) -> str:
        return self.record.redis_url

    def url(self, service: str, replica: int = 1) -> str:
        """Where a service or the sandbox listens, without a slash at the end."""
        return self.record.row(service, replica).url

    def kill(self, service: str, signal: Signals, replica: int = 1) -> None:
        """Send a signal; a process that dies of it is started again at once."""
        self._supervisor.signal(self.record.row(service, replica).name, signal)

    def stop(self, service: str, replica: int = 1) -> None:
        """Stop one process, orderly, until :meth:`start` or the next :meth:`up`."""
        self._supervisor.stop([self.record.row(service, replica).name])

    def start(self, service: str, replica: int = 1) -> None:
        """Start a stopped process; returns at once."""
        self._supervisor.start(self.record.row(service, replica).name)

    def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Return when every process answers, however often one of them is started again until then.

        Raises:
            StackError: one was not ready in time.
        """
        waiting = [row for row in self.record.rows if row.service != "epmd"]

        def are_ready() -> bool:
            waiting[:] = [row for row in waiting if not is_ready(row)]
            return not waiting

        if not wait_until(are_ready, seconds):
            raise StackError(f"{waiting[0].name} was not ready in {seconds:.0f} s")

    def _up(self) -> None:
        running = {name for name, process in self._supervisor.processes().items() if process.pid}
        kinds = [kind for kind, variable in (("rabbitmq", AMQP), ("redis", REDIS)) if variable not in self._given]
        servers = PrivateServers(self.folder, kinds, services=NAMES, fixed_ports=self._fixed_ports)
        own = trial_secrets(self.folder / "trial-secrets.json") if self._sandbox else {}
        installation = Installation(
            self.folder,
            {**own, **self._given},
            servers,
            of_the_machine(os.environ),
            running,
            fixed_ports=self._fixed_ports,
        )
        installation.check(self._scale, sandbox=self._sandbox)
        server_programs = servers.programs(self._say, [kind for kind in kinds if f"{kind}-1" in running])
        if self._sandbox:
            server_programs.append(installation.sandbox_program())
        sandbox_url = server_programs[-1].url if self._sandbox else ""
        service_programs = installation.service_programs(self._scale, sandbox_url=sandbox_url)
        changes = self._supervisor.configure([*server_programs, *service_programs])
        self._say("Starting the servers ...")
        self._start(changes, server_programs, lambda name: not _is_service(name))
        servers.wait(self._supervisor, self.logs)
        if "rabbitmq" in kinds:
            _give_rights(servers)
        _declare_topology(installation.amqp_admin_url)
        record = Record.of(
            [*server_programs, *service_programs],
            amqp_admin_url=installation.amqp_admin_url,
            management_url=servers.broker.management_url if "rabbitmq" in kinds else "",
            redis_url=installation.redis_admin_url,
        )
        write_record(self.folder / "stack.json", record)
        self._say("Starting the services ...")
        self._start(changes, service_programs, _is_service)
        self._wait_for([row for row in record.rows if not row.is_server])
        if self._sandbox:
            self._prepare_sandbox(service_programs)

    def _start(self, changes: Changes, programs: list[Program], concerned: Callable[[str], bool]) -> None:
        self._supervisor.apply(changes, concerned)
        for program in programs:
            self._supervisor.start(program.name)

    def _wait_for(self, rows: list[Row]) -> None:
        ready = {row.name: partial(is_ready, row) for row in rows}
        wait_for_all(self._supervisor, ready, _READY_SECONDS, self.logs)

    def _prepare_sandbox(self, services: list[Program]) -> None:
        row = self.record.row(doubles.SERVICE)
        self._wait_for([row])
        variables = {name: value for program in services for name, value in program.environment.items()}
        ingress_url = self.url("ingress") if self._scale["ingress"] else None
        doubles.configure_sandbox(row.url, doubles.sandbox_settings(variables, ingress_url))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One command at a time may change a stack."""
        private_folder(self.folder)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _is_service(name: str) -> bool:
    return name.rpartition("-")[0] in NAMES


def _give_rights(servers: PrivateServers) -> None:
    with servers.management() as management:
        for service, rights in permissions().items():
            management.set_user(service, servers.passwords[service])
            management.set_rights(VHOST, service, rights)


def _declare_topology(amqp_url: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [str(PYTHON), "-P", "-m", "shared.topology.declare"],
        env={**of_the_machine(os.environ), AMQP: amqp_url},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError("the queues could not be declared", tuple(done.stderr.splitlines()[-5:]))
