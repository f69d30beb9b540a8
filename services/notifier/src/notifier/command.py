"""What the notifier's commands share: the ledger's address alone, read from the environment."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.settings import LedgerSettings
from shared.errors import ConfigurationError
from shared.runtime.database import create_engine, migrate
from shared.settings.base import load_settings


def run(work: Callable[[AsyncEngine], Awaitable[str]]) -> None:
    """Do ``work`` on the ledger and print what it says; a configuration error is one line and exit code 2."""
    try:
        settings = load_settings(LedgerSettings)
        said = asyncio.run(_with_ledger(settings.notifier_database_url.get_secret_value(), work))
    except ConfigurationError as error:
        sys.stderr.write(f"notifier: {error}\n")
        sys.exit(2)
    sys.stdout.write(f"{said}\n")


async def _with_ledger(url: str, work: Callable[[AsyncEngine], Awaitable[str]]) -> str:
    engine = create_engine(url)
    try:
        await migrate(engine, "notifier")
        return await work(engine)
    finally:
        await engine.dispose()
