"""Operator commands that a service's own module carries out, in that service's environment."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from deploy.environment import of_the_machine
from deploy.errors import StackError
from deploy.files import private_folder
from deploy.installation import AMQP
from deploy.paths import PYTHON, ROOT
from deploy.stack import Stack
from deploy.supervision import read_json

_ANSWER_SECONDS = 15


def run_in_service(stack: Stack, service: str, module: str, arguments: list[str]) -> NoReturn:
    """Become ``python -m module``, with the environment that the service's first replica was started with.

    Raises:
        StackError: the stack has no such service.
    """
    _become(module, arguments, environment_of(stack, service))


def asked_of_service(stack: Stack, service: str, module: str, arguments: list[str]) -> str:
    """What ``python -m module`` prints in the service's environment; empty when there is no such service or answer."""
    try:
        name = stack.record.row(service).name
    except StackError:
        return ""
    environment: dict[str, str] = read_json(stack.folder / "programs" / f"{name}.json")["environment"]
    argv = [str(PYTHON), "-P", "-m", module, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip()


def piped(module: str, arguments: list[str], environment: Mapping[str, str], text: str = "") -> str:
    """What ``python -m module`` prints when ``text`` is its standard input; nothing of it is shown or kept.

    Raises:
        StackError: it failed.
    """
    argv = [str(PYTHON), "-P", "-m", module, *arguments]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        argv, cwd=ROOT, env=dict(environment), input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackError(done.stderr.strip().rpartition("\n")[2] or f"{module} failed")
    return done.stdout


def environment_of(stack: Stack, service: str) -> dict[str, str]:
    """What the service's first replica was started with.

    Raises:
        StackError: the stack has no such service.
    """
    name = stack.record.row(service).name
    environment: dict[str, str] = read_json(stack.folder / "programs" / f"{name}.json")["environment"]
    return environment


def environment_of_administrator(stack: Stack) -> dict[str, str]:
    return {**of_the_machine(os.environ), AMQP: stack.amqp_admin_url}


def run_as_administrator(stack: Stack, module: str, arguments: list[str]) -> NoReturn:
    """Become ``python -m module`` with the broker's administrator."""
    _become(module, arguments, environment_of_administrator(stack))


def show_logs(logs: Path, service: str, *, lines: int, follow: bool) -> NoReturn:
    """Become ``tail`` of one service's logs, or of all.

    Raises:
        StackError: there is no such log.
    """
    private_folder(logs)
    found = sorted(logs.glob(f"{service}-[0-9]*.log") if service else logs.glob("*-[0-9]*.log"))
    if not found:
        names = sorted({path.stem.rpartition("-")[0] for path in logs.glob("*-[0-9]*.log")})
        raise StackError(f"there is no log of {service or 'anything'} in {logs}", (", ".join(names),) if names else ())
    options = ["-n", str(lines), *(["-F"] if follow else [])]
    argv = ["tail", *options, *map(str, found)]
    os.execvp(argv[0], argv)  # noqa: S606 - the system's own tail, wherever it is


def _become(module: str, arguments: list[str], environment: dict[str, str]) -> NoReturn:
    os.chdir(ROOT)
    argv = [str(PYTHON), "-P", "-m", module, *arguments]
    os.execve(argv[0], argv, environment)  # noqa: S606 - our own interpreter
