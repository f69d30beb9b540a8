"""What the notifier's commands share: the ledger's address alone, read from the environment."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.settings import LedgerSettings
from notifier.tables import tenants
from shared.errors import ConfigurationError
from shared.runtime.database import create_engine, for_reading, migrate
from shared.settings.base import load_settings


class Complaint(Exception):  # noqa: N818 - said to a person, and nothing that code handles
    """Why a command did nothing, in one line."""


def run(work: Callable[[AsyncEngine], Awaitable[str]], *, migrated: bool = True) -> None:
    """Do ``work`` on the ledger and print what it says; not ``migrated`` leaves its tables as they are.

    One line on standard error and exit code 1 when it complains or the ledger does not answer, 2 for a configuration
    error.
    """
    try:
        settings = load_settings(LedgerSettings)
        said = asyncio.run(_with_ledger(settings.notifier_database_url.get_secret_value(), work, migrated))
    except ConfigurationError as error:
        sys.stderr.write(f"notifier: {error}\n")
        sys.exit(2)
    except Complaint as complaint:
        sys.stderr.write(f"{complaint}\n")
        sys.exit(1)
    except (OSError, sa.exc.SQLAlchemyError) as error:
        sys.stderr.write(f"the ledger does not answer ({type(error).__name__}); nothing is known to have changed\n")
        sys.exit(1)
    sys.stdout.write(f"{said}\n")


async def _with_ledger(url: str, work: Callable[[AsyncEngine], Awaitable[str]], migrated: bool) -> str:
    engine = create_engine(url)
    try:
        if migrated:
            await migrate(engine, "notifier")
        return await work(engine)
    finally:
        await engine.dispose()


async def must_be_known(engine: AsyncEngine, tenant_id: str | None) -> None:
    """Raises Complaint for an organisation that the ledger has never heard of: most likely a slip of the pen."""
    if tenant_id is None:
        return
    async with for_reading(engine).connect() as db:
        if await db.scalar(sa.select(tenants.c.tenant_id).where(tenants.c.tenant_id == tenant_id)) is None:
            raise Complaint(
                f"no organisation {tenant_id} is known here; nothing was done (make connections lists them)"
            )
