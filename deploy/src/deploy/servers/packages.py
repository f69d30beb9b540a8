"""Finding the servers' programs on this machine, and installing them when they are missing."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import StackError
from deploy.supervision import tail

_POLICY = Path("/usr/sbin/policy-rc.d")
_CREATE_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")
_CREATE_CLUSTER_ORIGINAL = Path("/usr/share/postgresql-common/createcluster.conf")


@dataclass(frozen=True)
class Server:
    """A server by the file that proves it is installed: glob patterns, tried in order, newest version first."""

    name: str
    patterns: tuple[str, ...]
    debian: str
    brew: str


RABBITMQ = Server(
    "RabbitMQ",
    (
        "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
        "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
        "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
        "/opt/rabbitmq/sbin/rabbitmq-server",
    ),
    debian="rabbitmq-server",
    brew="rabbitmq",
)
REDIS = Server(
    "Redis",
    ("/usr/bin/redis-server", "/opt/homebrew/bin/redis-server", "/usr/local/bin/redis-server"),
    debian="redis-server",
    brew="redis",
)
POSTGRESQL = Server(
    "PostgreSQL",
    (
        "/usr/lib/postgresql/*/bin/postgres",
        "/opt/homebrew/opt/postgresql@*/bin/postgres",
        "/usr/local/opt/postgresql@*/bin/postgres",
    ),
    debian="postgresql",
    brew="postgresql@16",
)


def find(server: Server) -> Path | None:
    """The server's program, of the highest version that is installed."""
    for pattern in server.patterns:
        found = sorted(Path("/").glob(pattern.lstrip("/")), key=_version)
        if found:
            return found[-1]
    return None


def _version(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]


def ensure(servers: list[Server], log: Path, say: Callable[[str], object]) -> dict[Server, Path]:
    """Server → its program, installed by the system's package manager when missing, without any service starting.

    Raises:
        StackError: no package manager is known here, or it failed; the end of its output is in ``details``.
    """
    if any(find(server) is None for server in servers):
        with _alone():
            missing = [server for server in servers if find(server) is None]
            if missing:
                say(f"Installing {', '.join(server.name for server in missing)} ...")
                _install(missing, log)
    found = {server: find(server) for server in servers}
    absent = [server.name for server, path in found.items() if path is None]
    if absent:
        raise StackError(f"{', '.join(absent)} cannot be found after the installation")
    return {server: path for server, path in found.items() if path is not None}


@contextmanager
def _alone() -> Iterator[None]:
    """One installation at a time, of all that this environment's processes begin: the switches below are global."""
    with (Path(sys.prefix) / "installing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(servers: list[Server], log: Path) -> None:
    if shutil.which("apt-get"):
        with _no_service_starts(), _no_database_cluster(POSTGRESQL in servers):
            _run(["apt-get", "update", "-q"], log)
            options = ["-q", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"]
            _run(["apt-get", "install", *options, *(server.debian for server in servers)], log)
    elif sys.platform == "darwin" and shutil.which("brew"):
        _run(["brew", "install", *(server.brew for server in servers)], log, as_root=False)
    else:
        names = ", ".join(server.name for server in servers)
        raise StackError(f"{names} must be installed by hand: this machine has neither apt-get nor brew")


def _run(command: list[str], log: Path, *, as_root: bool = True, given: str | None = None) -> None:
    settings = ["env", "DEBIAN_FRONTEND=noninteractive", "UCF_FORCE_CONFFOLD=1", "LC_ALL=C"]
    if command[0] == "apt-get":
        command = [command[0], "-o", "DPkg::Lock::Timeout=300", *command[1:]]
    prefix = ["sudo"] if as_root and os.geteuid() != 0 else []
    if prefix and not shutil.which("sudo"):
        raise StackError(f"`{' '.join(command)}` needs root, and there is no sudo")
    with log.open("ab") as output:
        done = subprocess.run(  # noqa: S603 - fixed commands, no shell
            [*prefix, *settings, *command],
            input=given.encode() if given is not None else None,
            stdin=subprocess.DEVNULL if given is None else None,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise StackError(f"`{' '.join(command)}` failed; its output is in {log}", tail(log))


def _write_as_root(path: Path, text: str, mode: str) -> None:
    null = Path(os.devnull)
    _run(["mkdir", "-p", str(path.parent)], null)
    _run(["tee", str(path)], null, given=text)
    _run(["chmod", mode, str(path)], null)


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian's own switch against services that start on installation; what is there already stays untouched."""
    if _POLICY.exists():
        yield
        return
    _write_as_root(_POLICY, "#!/bin/sh\nexit 101\n", "755")
    try:
        yield
    finally:
        _run(["rm", "-f", str(_POLICY)], Path(os.devnull))


@contextmanager
def _no_database_cluster(is_concerned: bool) -> Iterator[None]:
    """PostgreSQL's packages make a system-wide cluster unless told not to; their own setting returns afterwards."""
    if not is_concerned or _CREATE_CLUSTER.exists():
        yield
        return
    _write_as_root(_CREATE_CLUSTER, "create_main_cluster = false\n", "644")
    try:
        yield
    finally:
        if _CREATE_CLUSTER_ORIGINAL.exists():
            _run(["cp", str(_CREATE_CLUSTER_ORIGINAL), str(_CREATE_CLUSTER)], Path(os.devnull))
