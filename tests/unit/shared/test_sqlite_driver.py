"""SQLite's statements: in the driver's thread what may wait, at once what cannot."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.runtime.database import create_engine, for_reading

THINGS = sa.Table(
    "things", sa.MetaData(), sa.Column("name", sa.String, primary_key=True), sa.Column("size", sa.Integer)
)


class Traced:
    """Every statement, and whether the event loop's thread carried it out."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.seen: list[tuple[str, bool]] = []
        self._loop = threading.get_ident()
        sa.event.listen(engine.sync_engine, "connect", self._trace)

    def _trace(self, connection: Any, _: Any) -> None:
        connection.driver_connection._conn.set_trace_callback(self._note)

    def _note(self, statement: str) -> None:
        self.seen.append((statement.partition(" ")[0], threading.get_ident() == self._loop))

    def at_once(self) -> set[str]:
        return {statement for statement, at_once in self.seen if at_once}

    def in_thread(self) -> set[str]:
        return {statement for statement, at_once in self.seen if not at_once}


@asynccontextmanager
async def things(folder: Path) -> AsyncIterator[Traced]:
    traced = Traced(create_engine(f"sqlite:///{folder}/things.db"))
    try:
        async with traced.engine.begin() as db:
            await db.run_sync(THINGS.metadata.create_all)
            await db.execute(sa.insert(THINGS), [{"name": "a", "size": 1}, {"name": "b", "size": 2}])
        traced.seen.clear()
        yield traced
    finally:
        await traced.engine.dispose()


async def test_waiting_for_the_lock_and_the_disk_never_keeps_the_loop(tmp_path: Path) -> None:
    async with things(tmp_path) as traced:
        async with traced.engine.begin() as db:
            await db.execute(sa.update(THINGS).values(size=3))
            await db.execute(sa.select(THINGS))
        assert traced.at_once() == {"UPDATE", "SELECT"}
        assert traced.in_thread() == {"BEGIN", "COMMIT"}


async def test_what_only_reads_may_take_long(tmp_path: Path) -> None:
    async with things(tmp_path) as traced:
        with pytest.raises(ZeroDivisionError):
            async with traced.engine.begin():
                raise ZeroDivisionError
        traced.seen.clear()
        async with for_reading(traced.engine).connect() as db:
            await db.execute(sa.select(THINGS))
        assert traced.at_once() == set()
        assert "SELECT" in traced.in_thread()


async def test_rows_counts_and_faults_are_as_ever(tmp_path: Path) -> None:
    async with things(tmp_path) as traced:
        async with traced.engine.begin() as db:
            assert (await db.execute(sa.select(THINGS).order_by(THINGS.c.name))).all() == [("a", 1), ("b", 2)]
            assert (await db.execute(sa.update(THINGS).values(size=5))).rowcount == 2
            gone = sa.delete(THINGS).where(THINGS.c.name == "a").returning(THINGS.c.size)
            assert await db.scalar(gone) == 5

        async def insert(*names: str) -> None:
            async with traced.engine.begin() as db:
                for name in names:
                    await db.execute(sa.insert(THINGS), {"name": name})

        with pytest.raises(sa.exc.IntegrityError):
            await insert("c", "b")
        async with for_reading(traced.engine).connect() as db:
            assert list(await db.scalars(sa.select(THINGS.c.name))) == ["b"]


async def test_who_gives_up_waiting_for_the_lock_leaves_it_to_others(tmp_path: Path) -> None:
    async with things(tmp_path) as traced:
        async with traced.engine.begin() as db:
            await db.execute(sa.update(THINGS).values(size=7))

            async def another() -> None:
                async with traced.engine.begin() as late:
                    await late.execute(sa.update(THINGS).values(size=8))

            waiting = asyncio.create_task(another())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await another()
        async with for_reading(traced.engine).connect() as db:
            assert list(await db.scalars(sa.select(THINGS.c.size))) == [8, 8]
