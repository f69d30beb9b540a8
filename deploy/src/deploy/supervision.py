"""Supervisord as the keeper of a stack's processes: what should run is written, what differs is changed."""

import hashlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import xmlrpc.client
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from deploy.errors import StackError
from deploy.files import private_folder, write_private, write_table
from deploy.launch import end_with_parent
from deploy.paths import PYTHON, ROOT
from deploy.program import Program
from deploy.supervisor_config import launch_path, render_config
from deploy.waiting import wait_until

_LONGEST_SOCKET_PATH = 90
_SUPERVISORD_SECONDS = 20
_STOPPABLE = frozenset({"RUNNING", "STARTING", "BACKOFF"})
_AT_REST = frozenset({"STOPPED", "FATAL"})
_UNREACHABLE = (OSError, xmlrpc.client.ProtocolError)


@dataclass(frozen=True)
class Supervised:
    """A process as supervisord sees it; ``state`` is its word: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL."""

    name: str
    state: str
    pid: int
    why: str


@dataclass(frozen=True)
class Changes:
    """Names of programs that are new, run with an old description, or are no longer wanted."""

    added: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()


def socket_path(folder: Path) -> Path:
    """In the stack's folder, or in the temporary one when the path would be longer than a unix socket allows."""
    inside = folder / "supervisor.sock"
    if len(str(inside)) <= _LONGEST_SOCKET_PATH:
        return inside
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return private_folder(Path(tempfile.gettempdir()) / f"duebell-{os.getuid()}") / f"{digest}.sock"


class Supervisor:
    """One supervisord per stack folder. With ``tied`` it ends with the calling process, as a test session wants it."""

    def __init__(self, folder: Path, logs: Path, *, tied: bool = False) -> None:
        self._folder = folder
        self._logs = logs
        self._socket = socket_path(folder)
        self._tied = tied
        self._process: subprocess.Popen[bytes] | None = None

    def is_alive(self) -> bool:
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except _UNREACHABLE:
            return False

    def configure(self, programs: Sequence[Program]) -> Changes:
        """Write what should run and start supervisord, or tell what differs when it runs already. Starts no program."""
        private_folder(self._folder / "programs")
        self._logs.mkdir(parents=True, exist_ok=True)
        for program in programs:
            write_table(launch_path(self._folder, program), program.launch_file())
        config = self._folder / "supervisord.conf"
        write_private(config, render_config(self._folder, self._logs, self._socket, programs))
        if not self.is_alive():
            self._start(config)
            return Changes()
        [[added, changed, removed]] = self._call("reloadConfig")
        return Changes(frozenset(added), frozenset(changed), frozenset(removed))

    def apply(self, changes: Changes, concerned: Callable[[str], bool]) -> None:
        """Carry out the part of ``changes`` whose names are ``concerned``: old processes stop, new groups are known."""
        for name in sorted(filter(concerned, changes.removed | changes.changed)):
            self.stop([name])
            self._call("removeProcessGroup", name)
        for name in sorted(filter(concerned, changes.added | changes.changed)):
            self._call("addProcessGroup", name)

    def processes(self) -> dict[str, Supervised]:
        """Name → what supervisord knows; empty when it does not run."""
        try:
            rows: Any = self._call("getAllProcessInfo")
        except _UNREACHABLE:
            return {}
        return {
            row["name"]: Supervised(row["name"], row["statename"], row["pid"], row["spawnerr"] or row["description"])
            for row in rows
        }

    def start(self, name: str) -> None:
        """Start a process that is not running; returns at once."""
        if self.processes()[name].state in {"STOPPED", "EXITED", "FATAL"}:
            self._call("startProcess", name, False)

    def stop(self, names: Iterable[str], seconds: float = 60) -> None:
        """Stop these at the same time and wait for their end.

        Raises:
            StackError: one was still there after ``seconds``; supervisord kills each after its own limit.
        """
        wanted = set(names)

        def are_gone() -> bool:
            left = [p for p in self.processes().values() if p.name in wanted and p.state not in _AT_REST]
            for process in left:
                # One that has just died is started again first.
                if process.state in _STOPPABLE:
                    self._ask_to_stop(process.name)
            return not left

        if not wait_until(are_gone, seconds):
            raise StackError(f"these did not stop in {seconds:.0f} s: {', '.join(sorted(wanted))}")

    def _ask_to_stop(self, name: str) -> None:
        try:
            self._call("stopProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.NOT_RUNNING:
                raise

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the process itself; supervisord starts it again if it dies of it."""
        self._call("signalProcess", name, number.name.removeprefix("SIG"))

    def shutdown(self) -> None:
        """Stop everything, the highest rank first and those of one rank together, then supervisord itself.

        Raises:
            StackError: something was still there long after its limit.
        """
        if not self.is_alive():
            return
        pid = self._call("getPID")
        ranks: dict[int, list[str]] = {}
        for config in self._call("getAllConfigInfo"):
            ranks.setdefault(config["process_prio"], []).append(config["name"])
        for _, names in sorted(ranks.items(), reverse=True):
            self.stop(names)
            for name in names:
                self._call("removeProcessGroup", name)
        self._call("shutdown")
        if not wait_until(lambda: self._has_gone(pid), _SUPERVISORD_SECONDS):
            raise StackError(f"supervisord (pid {pid}) did not stop in {_SUPERVISORD_SECONDS} s")

    def _has_gone(self, pid: int) -> bool:
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is not None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    def _start(self, config: Path) -> None:
        self._socket.unlink(missing_ok=True)
        # The kernel counts the thread as the parent, so only the main thread may be tied to.
        tied = self._tied and threading.current_thread() is threading.main_thread()
        with (self._logs / "supervisord.out").open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, no text from outside
                [str(PYTHON), "-m", "supervisor.supervisord", "--nodaemon", "--silent", "--configuration", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
                start_new_session=True,
                preexec_fn=end_with_parent if tied else None,  # noqa: PLW1509 - one system call, no lock is taken
            )
        if not wait_until(self.is_alive, _SUPERVISORD_SECONDS):
            raise StackError("supervisord did not start", tail(self._logs / "supervisord.out"))

    def _call(self, method: str, *arguments: str | bool) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
            return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()


def tail(path: Path, lines: int = 10) -> tuple[str, ...]:
    """The last lines of a log, none when there is no such file."""
    if not path.exists():
        return ()
    return tuple(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def read_json(path: Path) -> dict[str, Any]:
    """A launch file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
