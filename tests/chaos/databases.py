"""Where the services of a run keep what they know: files of SQLite, or a private PostgreSQL."""

import asyncio
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import quote

import asyncpg  # type: ignore[import-untyped]  # it has no stubs

from chaos.until import until
from deploy.containers.databases import set_databases
from deploy.containers.holders import DATABASES
from deploy.passwords import load_passwords
from deploy.ports import LOOPBACK
from deploy.servers.private import PrivateServers
from deploy.supervision import Supervised, Supervisor
from shared.runtime.database import create_engine

Kind = Literal["sqlite", "postgresql"]
Row = Mapping[str, Any]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
NOTIFIER = "notifier"
TOKEN_BROKER = "token-broker"
UNREADABLE = (sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What a database that is broken just now raises at whoever looks into it."""
_PROCESS = "postgresql-1"
_BACK_SECONDS = 60.0
_LOOK_SECONDS = 5.0


class Databases(Protocol):
    """``variables`` lead the services to theirs; ``kind`` is the word for the command line."""

    kind: Kind
    variables: Mapping[str, str]

    def rows(self, service: str, question: str, texts: Sequence[str]) -> list[Row]:
        """What a service's database answers; ``{texts}`` in the question stands for the list of ``texts``."""
        ...

    def processes(self) -> Mapping[str, Supervised]: ...


class SqliteFiles:
    """Two files under the stack's folder."""

    kind: Kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.variables: Mapping[str, str] = {}

    def file(self, service: str) -> Path:
        return self._folder / "data" / f"{service}.db"

    def rows(self, service: str, question: str, texts: Sequence[str]) -> list[Row]:
        asked = question.replace("{texts}", f"({', '.join('?' * len(texts))})")
        with closing(sqlite3.connect(f"file:{self.file(service)}?mode=ro", uri=True, timeout=_LOOK_SECONDS)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(asked, list(texts))]

    def processes(self) -> Mapping[str, Supervised]:
        return {}


class Postgresql:
    """A server of its own, in which each service owns one database and enters no other."""

    kind: Kind = "postgresql"

    def __init__(self, private: PrivateServers, supervisor: Supervisor, logs: Path) -> None:
        self._url = private.postgresql.url
        self._supervisor = supervisor
        self._log = logs / f"{_PROCESS}.log"
        self.passwords = load_passwords(logs.parent / "database-users.json", DATABASES.values())
        port = private.ports["postgresql"]
        self.variables: Mapping[str, str] = {
            f"DUEBELL_{name.upper()}_DATABASE_URL": _owned(name, self.passwords[name], port)
            for name in DATABASES.values()
        }

    def administrator_url(self, service: str | None = None) -> str:
        """Past the proxies; of the server's own database without a service."""
        return self._url(DATABASES[service]) if service else self._url()

    def rows(self, service: str, question: str, texts: Sequence[str]) -> list[Row]:
        """To be called in a thread."""
        return asyncio.run(
            self.ask(service, question.replace("IN {texts}", "= ANY($1::text[])"), *[texts] * bool(texts))
        )

    async def ask(self, service: str | None, question: str, *parameters: Any) -> list[Row]:
        async with self.session(service) as connection:
            return [dict(row) for row in await connection.fetch(question, *parameters)]

    @asynccontextmanager
    async def session(self, service: str | None = None) -> AsyncIterator[Any]:
        """The administrator's, in autocommit."""
        url = self.administrator_url(service)
        connection = await asyncpg.connect(url, timeout=_LOOK_SECONDS, command_timeout=_LOOK_SECONDS * 4)
        try:
            yield connection
        finally:
            connection.terminate()

    async def sessions(self) -> int:
        """How many connections the services have now."""
        question = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = ANY($1::text[])"
        rows = await self.ask(None, question, list(DATABASES.values()))
        return int(rows[0]["n"])

    async def answers(self) -> bool:
        with suppress(*UNREADABLE):
            return bool(await self.ask(None, "SELECT 1"))
        return False

    async def back(self) -> None:
        await until(self.answers, _BACK_SECONDS, "PostgreSQL")

    def told(self, words: str) -> int:
        """In how many lines of its log the server has said so."""
        if not self._log.exists():
            return 0
        with self._log.open(encoding="utf-8", errors="replace") as lines:
            return sum(words in line for line in lines)

    async def kill(self) -> None:
        """SIGKILL to the postmaster, whose children follow it; returns when the next one answers."""
        before = self._pid()
        self._supervisor.signal(_PROCESS, signal.SIGKILL)
        await until(lambda: self._pid() not in {0, before}, _BACK_SECONDS, "another postmaster")
        await self.back()

    def stop(self) -> None:
        self._supervisor.stop([_PROCESS])

    def start(self) -> None:
        self._supervisor.start(_PROCESS)

    def hold(self) -> list[int]:
        """SIGSTOP to the postmaster and then to all of its children; who was held."""
        postmaster = self._pid()
        held: list[int] = []
        for pid in (postmaster, *_children(postmaster)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                held.append(pid)
        return held

    def release(self, held: Sequence[int]) -> None:
        for pid in held:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def processes(self) -> Mapping[str, Supervised]:
        return self._supervisor.processes()

    def _pid(self) -> int:
        found = self.processes().get(_PROCESS)
        return found.pid if found else 0


@asynccontextmanager
async def databases(kind: Kind, folder: Path) -> AsyncIterator[Databases]:
    """Args: folder: the stack's."""
    if kind == "sqlite":
        yield SqliteFiles(folder)
        return
    own = _folder()
    logs = folder / "log" / "postgresql"
    private, supervisor = PrivateServers(own, ["postgresql"]), Supervisor(own, logs, tied=True)
    try:
        programs = private.programs(print)
        supervisor.configure(programs)
        for program in programs:
            supervisor.start(program.name)
        private.wait(supervisor, logs)
        server = Postgresql(private, supervisor, logs)
        engine = create_engine(server.administrator_url())
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await set_databases(connection, server.passwords)
        await engine.dispose()
        yield server
    finally:
        await asyncio.to_thread(supervisor.shutdown)
        shutil.rmtree(own, ignore_errors=True)


def _folder() -> Path:
    """PostgreSQL refuses root and so runs as another user, who has to pass through."""
    made = Path(tempfile.mkdtemp(prefix="chaos-postgresql-"))
    made.chmod(0o711)
    return made


def _owned(name: str, password: str, port: int) -> str:
    return f"postgresql://{name}:{quote(password, safe='')}@{LOOPBACK}:{port}/{name}"


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(one) for one in text.split()]
