"""The text of supervisord's configuration for a set of programs."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from deploy.paths import LAUNCHER, PYTHON
from deploy.program import Program

LOG_BYTES = 10 * 1024 * 1024
LOG_BACKUPS = 3
_NEVER_GIVE_UP = 1_000_000
_STARTED_SECONDS = 3
"""What ends sooner is started again after one second, then two, then three; what ends later, at once."""


def render_config(folder: Path, logs: Path, socket: Path, programs: Sequence[Program]) -> str:
    """The configuration: a socket that only the owner can reach, and one section a program.

    Args:
        folder: the stack's; launch files lie in its ``programs``.
        logs: where the programs' output goes, ten megabytes and three older files each.
        socket: the unix socket of supervisord's own interface.
    """
    sections = [
        "[unix_http_server]",
        f"file={_literal(socket)}",
        "chmod=0600",
        "",
        "[supervisord]",
        f"logfile={_literal(logs / 'supervisord.log')}",
        "logfile_maxbytes=1MB",
        "logfile_backups=1",
        f"pidfile={_literal(folder / 'supervisord.pid')}",
        "umask=077",
        *(["user=root"] if os.geteuid() == 0 else []),
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "",
    ]
    for program in programs:
        sections += _program(folder, logs, program)
    return "\n".join(sections)


def _program(folder: Path, logs: Path, program: Program) -> list[str]:
    launch = shlex.join([str(PYTHON), "-I", "-S", str(LAUNCHER), str(launch_path(folder, program))])
    return [
        f"[program:{program.name}]",
        f"command={_literal(launch)}",
        f'environment=LAUNCH="{program.digest()}"',
        f"priority={program.rank}",
        "autostart=false",
        "autorestart=true",
        f"startsecs={_STARTED_SECONDS}",
        f"startretries={_NEVER_GIVE_UP}",
        f"stopsignal={program.stop_signal}",
        f"stopwaitsecs={program.stop_seconds}",
        "redirect_stderr=true",
        # Of all the settings this one is expanded twice.
        f"stdout_logfile={_literal(_literal(logs / (program.name + '.log')))}",
        f"stdout_logfile_maxbytes={LOG_BYTES}",
        f"stdout_logfile_backups={LOG_BACKUPS}",
        "",
    ]


def launch_path(folder: Path, program: Program) -> Path:
    """Where the launch file of ``program`` lies."""
    return folder / "programs" / f"{program.name}.json"


def _literal(text: object) -> str:
    return str(text).replace("%", "%%")
