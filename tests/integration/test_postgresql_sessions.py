"""Sessions with PostgreSQL outlive neither their use nor their client."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.runtime.database import create_engine, is_outage
from support.infra import Infra, fresh_database

pytestmark = pytest.mark.integration


@pytest.fixture
async def engine(infra: Infra) -> AsyncIterator[AsyncEngine]:
    async with fresh_database(infra, "postgresql") as url:
        engine = create_engine(url)
        async with engine.begin() as db:
            await db.execute(sa.text("CREATE TABLE kept (word text)"))
        yield engine
        await engine.dispose()


async def let_write(engine: AsyncEngine, word: str) -> None:
    """``on`` or ``off``: for sessions that begin from now on."""
    async with engine.begin() as db:
        await db.execute(sa.text("SET TRANSACTION READ WRITE"))
        name = await db.scalar(sa.text("SELECT quote_ident(current_database())"))
        read_only = "off" if word == "on" else "on"
        await db.execute(sa.text(f"ALTER DATABASE {name} SET default_transaction_read_only = {read_only}"))


async def keep(engine: AsyncEngine, statement: str = "INSERT INTO kept VALUES ('word')") -> None:
    async with engine.begin() as db:
        await db.execute(sa.text(statement))


async def test_a_session_that_may_only_read_is_given_up_for_one_that_may_write(engine: AsyncEngine) -> None:
    await let_write(engine, "off")
    await engine.dispose()
    with pytest.raises(sa.exc.DBAPIError) as refused:
        await keep(engine)
    assert is_outage(refused.value)
    await let_write(engine, "on")
    # The session in the pool began while nothing could be written.
    with pytest.raises(sa.exc.DBAPIError):
        await keep(engine)
    await keep(engine)


async def test_a_full_server_is_an_outage_and_a_wrong_statement_is_none(engine: AsyncEngine) -> None:
    full = "DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53300'; END $$"
    wrong = "INSERT INTO nowhere VALUES (1)"
    for statement, expected in ((full, True), (wrong, False)):
        with pytest.raises(sa.exc.DBAPIError) as refused:
            await keep(engine, statement)
        assert is_outage(refused.value) is expected


async def test_the_server_ends_a_session_whose_client_has_vanished(engine: AsyncEngine) -> None:
    wanted = {"idle_in_transaction_session_timeout": "1min", "tcp_user_timeout": "30000", "tcp_keepalives_idle": "15"}
    async with engine.connect() as db:
        told = {name: await db.scalar(sa.text(f"SHOW {name}")) for name in wanted}
    assert told == wanted
