"""SQLite for SQLAlchemy without a visit to the driver's thread for each step of each statement.

A visit costs more than most statements: two threads hand each other the interpreter, and on a busy machine each waits
for its turn. What may really wait stays in the thread: the lock at the beginning of a transaction, the disk at its end,
and transactions that only read, which are free to take long. In between, the statements of a transaction that holds the
write lock are carried out at once.
"""

import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.util import await_only

T = TypeVar("T")

BEGIN_READING = "BEGIN"
BEGIN_WRITING = "BEGIN IMMEDIATE"


async def _at_once(run: Callable[[], T]) -> T:
    return run()


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    """A statement and all of its rows; of the database's own cursor nothing is left to be closed."""

    __slots__ = ("_description", "_lastrowid", "_rowcount")

    _adapt_connection: "_Connection"

    def __init__(self, adapt_connection: "_Connection") -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._rows: deque[Any] = deque()
        self._description: Any = None
        self._rowcount = -1
        self._lastrowid: int | None = None

    @property
    def description(self) -> Any:
        return self._description

    @property
    def rowcount(self) -> int:
        return self._rowcount

    @property
    def lastrowid(self) -> Any:
        return self._lastrowid

    def execute(self, operation: Any, parameters: Any = None) -> Any:
        self._carry_out(lambda cursor: cursor.execute(operation, () if parameters is None else parameters))
        if operation == BEGIN_WRITING:
            self._adapt_connection.writing = True
        return self

    def executemany(self, operation: Any, seq_of_parameters: Any) -> Any:
        self._carry_out(lambda cursor: cursor.executemany(operation, seq_of_parameters))
        return self

    def _carry_out(self, statement: Callable[[sqlite3.Cursor], object]) -> None:
        driver: Any = self._connection

        def run() -> tuple[Any, int, int | None, list[Any]]:
            cursor: sqlite3.Cursor = driver._conn.cursor()
            try:
                statement(cursor)
                rows = cursor.fetchall() if cursor.description else []
                return cursor.description, cursor.rowcount, cursor.lastrowid, rows
            finally:
                cursor.close()

        try:
            done = await_only(_at_once(run) if self._adapt_connection.writing else driver._execute(run))
        except Exception as error:
            self._adapt_connection._handle_exception(error)
        self._description, self._rowcount, self._lastrowid, rows = done
        self._rows = deque(rows)

    async def _async_soft_close(self) -> None: ...

    def close(self) -> None:
        self._rows.clear()


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ("writing",)

    _cursor_cls = _Cursor  # type: ignore[assignment]  # declared as the one class it is in SQLAlchemy

    def __init__(self, dbapi: Any, connection: Any) -> None:
        super().__init__(dbapi, connection)
        self.writing = False
        """Whether a transaction that holds the write lock has begun and not ended."""

    def commit(self) -> None:
        self.writing = False
        super().commit()

    def rollback(self) -> None:
        self.writing = False
        super().rollback()


class Driver(AsyncAdapt_aiosqlite_dbapi):
    """The driver's module, for ``create_async_engine(…, module=Driver())``."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)

    def connect(self, *arguments: Any, **named: Any) -> AsyncAdapt_aiosqlite_connection:
        usual = super().connect(*arguments, **named)
        return _Connection(usual.dbapi, usual._connection)
