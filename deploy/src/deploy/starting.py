"""Waiting until supervised processes do their work, or one of them shows that it will not."""

from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.errors import StackError
from deploy.supervision import Supervised, Supervisor, tail
from deploy.waiting import wait_until


class Starting:
    """Which processes are not ready yet; ``failed`` is the first that ended, if any."""

    def __init__(self, ready: Mapping[str, Callable[[], bool]]) -> None:
        self._ready = dict(ready)
        self._pids: dict[str, int] = {}
        self.failed: str | None = None

    @property
    def waiting(self) -> tuple[str, ...]:
        return tuple(self._ready)

    def look(self, processes: Mapping[str, Supervised]) -> bool:
        """True when all are ready or one has failed."""
        for name, is_ready in list(self._ready.items()):
            process = processes.get(name)
            if process is None or self._has_ended(process):
                self.failed = name
                return True
            if is_ready():
                del self._ready[name]
        return not self._ready

    def _has_ended(self, process: Supervised) -> bool:
        # One that reads a bad variable after seconds of imports is up again, with another pid, before anybody looks.
        first = self._pids.setdefault(process.name, process.pid) if process.pid else self._pids.get(process.name)
        return process.state in {"BACKOFF", "FATAL", "EXITED"} or process.pid not in {0, first}


def wait_for_all(supervisor: Supervisor, ready: Mapping[str, Callable[[], bool]], seconds: float, logs: Path) -> None:
    """Wait until every process of ``ready`` answers.

    Raises:
        StackError: one ended meanwhile or was not ready in time; the end of its log is in ``details``.
    """
    starting = Starting(ready)
    decided = wait_until(lambda: starting.look(supervisor.processes()), seconds)
    if starting.failed:
        raise _complaint(logs, starting.failed, "ended at its start")
    if not decided:
        raise _complaint(logs, starting.waiting[0], f"was not ready in {seconds:.0f} s")


def _complaint(logs: Path, name: str, what: str) -> StackError:
    log = logs / f"{name}.log"
    return StackError(f"{name} {what}; the end of {log}:", tail(log))
