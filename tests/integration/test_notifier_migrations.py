"""A ledger that is in use is brought up to date with all it knows."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic import context
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from notifier.tables import attempts, intents, recipients, sent_hours, tenants
from shared.runtime.database import UtcDateTime, create_engine, migrate

pytestmark = pytest.mark.integration

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=3)


def upgrade_to(connection: sa.Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "notifier:migrations")
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    with EnvironmentContext(config, script, fn=lambda current, _: script._upgrade_revs(revision, current)):
        context.configure(connection=connection)
        context.run_migrations()


def fill(connection: sa.Connection) -> None:
    """Four attempts of one organisation; the second was refused and the last is of long ago."""
    connection.execute(sa.insert(tenants).values(tenant_id="t", connected_at=HOUR, announced=True))
    known = {"tenant_id": "t", "contact_id": "c", "phone": "+91", "kind": "reminder", "stage": 3, "state": "sent"}
    times = {"due_at": HOUR, "created_at": HOUR, "changed_at": HOUR}
    names = ("reference", "intent_id", "tenant_id", "phone", "template")
    old = sa.table("attempts", *(sa.column(name) for name in names))
    old.append_column(sa.column("started_at", UtcDateTime))
    old.append_column(sa.column("outcome"))
    moments = [(5, "accepted"), (6, "rejected"), (55, None), (-60 * 24 * 40, "accepted")]
    for number, (minutes, outcome) in enumerate(moments):
        told = {"intent_id": f"i{number}", "invoice_id": f"v{number}", "invoice_number": "1", "tries": 1, "looks": 0}
        connection.execute(sa.insert(intents).values(**known, **times, **told))
        tried = {"reference": f"r{number}", "intent_id": f"i{number}", "tenant_id": "t", "phone": f"+91{number}"}
        started_at = HOUR + timedelta(minutes=minutes)
        connection.execute(sa.insert(old).values(**tried, template="x", started_at=started_at, outcome=outcome))


async def test_what_is_usual_and_who_was_written_to_is_known_from_what_was_sent(database_url: str) -> None:
    engine = create_engine(database_url)
    try:
        async with engine.begin() as db:
            await db.run_sync(upgrade_to, "0002")
            await db.run_sync(fill)
        await migrate(engine, "notifier")
        async with engine.connect() as db:
            hours = [tuple(row) for row in await db.execute(sa.select(sent_hours))]
            assert hours == [("t", HOUR, 2)]
            assert len((await db.execute(sa.select(recipients))).all()) == 4
            assert set((await db.execute(sa.select(attempts.c.sender, attempts.c.as_marketing))).all()) == {
                ("default", False)
            }
    finally:
        await engine.dispose()
