"""SQLite for SQLAlchemy at one visit to the driver's thread per statement, where the usual adapter makes four."""

import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.util import await_only


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    """A statement with all of its rows. There is no cursor in the thread between two of them: nothing needs closing."""

    __slots__ = ("_description", "_lastrowid", "_rowcount")

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
        self._in_thread(lambda cursor: cursor.execute(operation, () if parameters is None else parameters))
        return self

    def executemany(self, operation: Any, seq_of_parameters: Any) -> Any:
        self._in_thread(lambda cursor: cursor.executemany(operation, seq_of_parameters))
        return self

    def _in_thread(self, statement: Callable[[sqlite3.Cursor], object]) -> None:
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
            self._description, self._rowcount, self._lastrowid, rows = await_only(driver._execute(run))
        except Exception as error:
            self._adapt_connection._handle_exception(error)
        self._rows = deque(rows)

    async def _async_soft_close(self) -> None: ...

    def close(self) -> None:
        self._rows.clear()


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()

    _cursor_cls = _Cursor  # type: ignore[assignment]  # declared as the one class it is in SQLAlchemy


class OneVisit(AsyncAdapt_aiosqlite_dbapi):
    """The driver's module, for ``create_async_engine(…, module=OneVisit())``."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)

    def connect(self, *arguments: Any, **named: Any) -> AsyncAdapt_aiosqlite_connection:
        usual = super().connect(*arguments, **named)
        return _Connection(usual.dbapi, usual._connection)
