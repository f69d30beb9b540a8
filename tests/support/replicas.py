"""Token-brokers and sandboxes as real processes, forked in milliseconds, that a test can kill, stop and continue."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import httpx

from sandbox.server import serve
from shared.runtime.service import main
from shared.settings.base import PREFIX
from support.waiting import eventually
from token_broker.app import create_app
from token_broker.settings import TokenBrokerSettings
from token_broker.timing import RefreshTiming
from token_broker.wiring import Adapters

_PRELOADED = ["pytest", "token_broker.app", "notifier.app", "sandbox.server", "alembic.command", "asyncpg", "aiosqlite"]
_PR_SET_PDEATHSIG = 1
_START_SECONDS = 60


@dataclass(frozen=True)
class Plan:
    """What one token-broker is given: its environment, and what a test changes in it."""

    environment: Mapping[str, str]
    log: Path
    timing: RefreshTiming
    around: Callable[[Adapters], Adapters]


@dataclass
class Child:
    """A process forked from a server that has imported everything; ``target`` runs in it with ``arguments``."""

    target: Callable[..., None]
    arguments: tuple[Any, ...]
    log: Path
    process: ForkServerProcess = field(init=False)

    def start(self) -> None:
        self.process = _forks().Process(target=_run, args=(self.target, self.arguments, self.log), daemon=True)
        self.process.start()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def is_alive(self) -> bool:
        return self.process.is_alive()

    def is_stopped(self) -> bool:
        state = subprocess.run(["ps", "-o", "state=", "-p", str(self.pid)], capture_output=True, text=True, check=False)
        return state.stdout.startswith("T")

    def end(self) -> None:
        """At once, whatever state it is in."""
        self.process.kill()
        self.process.join(10)


@dataclass
class Replica(Child):
    """One token-broker at ``port``; after its death it starts again as it was."""

    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ready(self, http: httpx.AsyncClient) -> None:
        async def answers() -> bool:
            assert self.is_alive(), self.log.read_text(errors="replace")[-2000:]
            try:
                return (await http.get(f"{self.url}/readyz")).is_success
            except httpx.TransportError:
                return False

        await eventually(answers, seconds=_START_SECONDS, what="a token-broker that is ready")


def replica(plan: Plan, port: int) -> Replica:
    return Replica(_serve_token_broker, (plan,), plan.log, port)


async def start_sandbox(folder: Path) -> tuple[Child, str]:
    """A sandbox's process and its address."""
    port_file = folder / "sandbox.port"
    child = Child(serve, ("127.0.0.1", 0, port_file), folder / "sandbox.log")
    child.start()
    await eventually(lambda: port_file.exists() and port_file.read_text(), seconds=_START_SECONDS, what="the sandbox")
    return child, f"http://127.0.0.1:{port_file.read_text()}"


def _forks() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def _run(target: Callable[..., None], arguments: tuple[Any, ...], log: Path) -> None:
    if sys.platform.startswith("linux"):
        # A stopped process would not see SIGTERM, and none may outlive the session.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(output, number)
    target(*arguments)


def _serve_token_broker(plan: Plan) -> None:
    """The service's own main, in an environment of the plan alone."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    os.environ.update(plan.environment)
    main("token-broker", TokenBrokerSettings, partial(create_app, timing=plan.timing, around=plan.around))
