"""A private PostgreSQL, for tests: a cluster in a folder of its own, made on first use."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

from deploy.errors import StackError
from deploy.passwords import ADMINISTRATOR
from deploy.ports import LOOPBACK, PortBook
from deploy.program import Program

PORTS = {"postgresql": 20632}


class PrivatePostgresql:
    """Lives in ``folder``; the server refuses root, so for root the user ``postgres`` must be able to reach it."""

    def __init__(self, folder: Path, program: Path, ports: PortBook, passwords: dict[str, str]) -> None:
        self._folder = folder
        self._program = program
        self._ports = ports
        self._password = passwords[ADMINISTRATOR]
        self._user = "postgres" if os.geteuid() == 0 else None

    def url(self, database: str = "postgres") -> str:
        password = quote(self._password, safe="")
        return f"postgresql://{ADMINISTRATOR}:{password}@{LOOPBACK}:{self._ports['postgresql']}/{database}"

    def programs(self) -> list[Program]:
        """Make the cluster unless it is there, and describe the server's process."""
        data = self._folder / "data"
        if not data.exists():
            self._make_cluster(data)
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self._ports["postgresql"]),
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = Program(
            service="postgresql",
            replica=1,
            argv=(str(self._program), "-D", str(data), *options),
            environment={"LC_ALL": "C.UTF-8"},
            directory=self._folder,
            is_server=True,
            rank=10,
            stop_signal="INT",
            user=self._user,
            port=self._ports["postgresql"],
        )
        return [server]

    def is_ready(self) -> bool:
        address = ["-h", LOOPBACK, "-p", str(self._ports["postgresql"])]
        done = subprocess.run(  # noqa: S603 - the server's own tool
            [str(self._program.with_name("pg_isready")), "-q", *address], check=False
        )
        return done.returncode == 0

    def _make_cluster(self, data: Path) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        password_file = self._folder / "password"
        password_file.write_text(self._password, encoding="utf-8")
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            for path in (self._folder, password_file):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        done = subprocess.run(  # noqa: S603 - the server's own tool
            [
                str(self._program.with_name("initdb")),
                *("-D", str(data), "-U", ADMINISTRATOR, "--pwfile", str(password_file)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
            ],
            cwd=self._folder,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        password_file.unlink()
        if done.returncode != 0:
            shutil.rmtree(data, ignore_errors=True)
            raise StackError("initdb failed", tuple(done.stderr.splitlines()[-10:]))
