"""Rewrites SQLite's file, so that what was deleted is in none of its bytes any more."""

import sqlite3

from sqlalchemy.ext.asyncio import AsyncEngine


async def rewrite(engine: AsyncEngine) -> bool:
    """False when others would not let it be done now; true at once on another database, which has no such file."""
    if engine.dialect.name != "sqlite":
        return True
    async with engine.connect() as connection:
        # Past SQLAlchemy, which would begin a transaction: inside one nothing can be rewritten.
        driver = (await connection.get_raw_connection()).driver_connection
        if driver is None:
            return False
        try:
            async with driver.execute("VACUUM"):
                pass
            async with driver.execute("PRAGMA wal_checkpoint(TRUNCATE)") as rows:
                busy, _, _ = await rows.fetchone()
        except sqlite3.OperationalError:
            return False
        return not busy
