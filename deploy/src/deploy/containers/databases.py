"""One database in PostgreSQL for one service, which its owner alone may enter."""

import re
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

_NAME = re.compile(r"[a-z_]+")
_PASSWORD = re.compile(r"[A-Za-z0-9_-]+")

_SHARED = ("postgres", "template1")
_RIGHTS = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"


async def set_databases(administrator: AsyncConnection, passwords: Mapping[str, str]) -> None:
    """Each database of ``passwords`` (name → its owner's password) as :func:`set_database` does; no way round them.

    Args:
        administrator: a connection in autocommit.
    """
    for name, password in passwords.items():
        await set_database(administrator, name, password)
    for name in _SHARED:
        await administrator.execute(sa.text(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC"))


async def set_database(administrator: AsyncConnection, name: str, password: str) -> None:
    """Create user and database ``name`` where they are missing, and set the password and rights anew.

    Args:
        administrator: a connection in autocommit, as databases are not made inside a transaction.
    """
    # These statements take no parameters, so what goes into them is checked.
    if not _NAME.fullmatch(name) or not _PASSWORD.fullmatch(password):
        raise ValueError("a name of a-z and _, and a password of letters, digits, _ and -")
    if not await _exists(administrator, "SELECT 1 FROM pg_roles WHERE rolname = :name", name):
        await administrator.execute(sa.text(f"CREATE ROLE {name} {_RIGHTS}"))
    await administrator.execute(sa.text(f"ALTER ROLE {name} {_RIGHTS} PASSWORD '{password}'"))
    if not await _exists(administrator, "SELECT 1 FROM pg_database WHERE datname = :name", name):
        await administrator.execute(sa.text(f"CREATE DATABASE {name} OWNER {name}"))
    else:
        await administrator.execute(sa.text(f"ALTER DATABASE {name} OWNER TO {name}"))
    await administrator.execute(sa.text(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC"))


async def _exists(connection: AsyncConnection, question: str, name: str) -> bool:
    return (await connection.execute(sa.text(question), {"name": name})).first() is not None
