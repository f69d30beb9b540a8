"""What is put into statements that take no parameters."""

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.containers.databases import set_database


@pytest.mark.parametrize(("name", "password"), [("notifier; DROP", "p"), ("notifier", "p' SUPERUSER '"), ("", "p")])
async def test_what_could_end_a_statement_is_refused(name: str, password: str) -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    async with engine.connect() as connection:
        with pytest.raises(ValueError, match="a name of a-z"):
            await set_database(connection, name, password)
    await engine.dispose()
