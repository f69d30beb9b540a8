"""SQLite and PostgreSQL behind one code path: engines, column types and migrations."""

import sqlite3
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection, Dialect, ExceptionContext, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.errors import ConfigurationError
from shared.runtime.sqlite_driver import BEGIN_READING, BEGIN_WRITING, Driver

_BUSY_SECONDS = 10
_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 30
"""A server that is paused, or behind a broken network, would otherwise be waited for without end."""
_SESSION = {
    "idle_in_transaction_session_timeout": "60s",
    "tcp_user_timeout": "30s",
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""So that PostgreSQL soon ends the session, and with it the locks, of whoever vanished behind a broken network."""
_AWAY_CLASSES = frozenset({"08", "53", "57"})
"""Of PostgreSQL's error codes: connection, resources, and the operator (starting, stopping)."""
_READ_ONLY = "25006"
"""The server has become a standby, or is held still by its operator."""
_SQLITE_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
_READING = "duebell_reading"
_MILLION = Decimal(1_000_000)
_MIGRATION_LOCK = 0x64756562
"""Held in PostgreSQL while migrating, so that replicas starting at once do not race."""


def create_engine(url: str) -> AsyncEngine:
    """An engine for ``sqlite://`` or ``postgresql://``, whichever driver the URL names or omits.

    SQLite runs in WAL mode, and every transaction takes its write lock at the start: two that read and then write would
    otherwise fail on each other instead of waiting. Those that never write go through :func:`for_reading`.
    """
    parsed = _normalised(url)
    if parsed.get_backend_name() == "postgresql":
        engine = create_async_engine(
            parsed,
            pool_size=10,
            max_overflow=5,
            pool_timeout=10,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "timeout": _CONNECT_SECONDS,
                "command_timeout": _STATEMENT_SECONDS,
                "server_settings": dict(_SESSION),
            },
        )
        sa.event.listen(engine.sync_engine, "handle_error", _leave_read_only)
        return engine
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        parsed,
        module=Driver(),
        connect_args={"timeout": _BUSY_SECONDS},
        pool_size=10,
        pool_timeout=30,
        hide_parameters=True,
    )
    sa.event.listen(engine.sync_engine, "connect", _configure_sqlite)
    sa.event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _normalised(url: str) -> URL:
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        raise ConfigurationError("the database URL cannot be read; say sqlite:///path or postgresql://…") from None
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    backend = parsed.drivername.split("+")[0]
    if backend not in drivers:
        raise ConfigurationError(f"the database {backend} is not supported; say sqlite:// or postgresql://")
    return parsed.set(drivername=drivers[backend])


def _configure_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_SECONDS * 1000}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql(BEGIN_READING if reading else BEGIN_WRITING)


def _leave_read_only(context: ExceptionContext) -> None:
    """A session stays read-only when its server takes writes again: only another one will notice."""
    if _code_of(context.original_exception) == _READ_ONLY:
        context.is_disconnect = True


def _code_of(error: BaseException | None) -> str:
    code = getattr(error, "sqlstate", None)
    return code if isinstance(code, str) else ""


def _sqlite_code_of(error: BaseException | None) -> int:
    """Its primary code, 0 for anything else."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def for_reading(engine: AsyncEngine) -> AsyncEngine:
    """The same connections for transactions that only read: on SQLite they wait for nobody, and nobody for them."""
    return engine.execution_options(**{_READING: True})


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC time on both databases; a naive one is refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class DecimalText(sa.types.TypeDecorator[Decimal]):
    """Money as text, exact on both databases."""

    impl = sa.String(40)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class Millionths(sa.types.TypeDecorator[Decimal]):
    """Small money as whole millionths, so that both databases add it up exactly."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int((value * _MILLION).to_integral_value())

    def process_result_value(self, value: int | Decimal | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value) / _MILLION


async def migrate(engine: AsyncEngine, package: str) -> None:
    """Bring the database up to the newest migration of ``package``; many replicas may do so at once."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade, package)


def _upgrade(connection: Connection, package: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)

    def steps(revision: Any, _: Any) -> Any:
        return script._upgrade_revs("head", revision)

    upgrade: Callable[..., Any] = steps
    with EnvironmentContext(config, script, fn=upgrade):
        context.configure(connection=connection, render_as_batch=connection.dialect.name == "sqlite")
        context.run_migrations()


def is_outage(error: BaseException) -> bool:
    """Whether the database was not there to be asked, whatever it was asked for."""
    if isinstance(error, sa.exc.DBAPIError):
        code = _code_of(error.orig)
        # By code, not by class: a value that cannot be sent, or a mistake in our SQL, comes in the same classes.
        refused = code[:2] in _AWAY_CLASSES or code == _READ_ONLY
        return bool(error.connection_invalidated) or refused or _sqlite_code_of(error.orig) in _SQLITE_AWAY
    return isinstance(error, OSError | sa.exc.TimeoutError)  # TimeoutError is an OSError


def is_to_blame(error: BaseException) -> bool:
    """Whether a message failed for want of the database, whatever the message was.

    A deadline that passed, or another fault of the machine, may be of the message's making.
    """
    if isinstance(error, ConnectionError):
        # RabbitMQ's are of this class as well: the driver's come through the engine, unwrapped.
        frames = traceback.walk_tb(error.__traceback__)
        return any(str(frame.f_globals.get("__name__", "")).startswith("sqlalchemy.") for frame, _ in frames)
    return isinstance(error, sa.exc.SQLAlchemyError) and is_outage(error)


async def answers(engine: AsyncEngine) -> bool:
    """Whether the database takes a transaction now; for a service's readiness."""
    async with engine.connect() as connection:
        await connection.execute(sa.text("SELECT 1"))
    return True
