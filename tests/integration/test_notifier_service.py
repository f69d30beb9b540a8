"""The whole notifier on a real broker: an event in, one POST out, and what was learnt told on."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from notifier.app import create_app
from notifier.settings import NotifierSettings
from notifier.tables import intents, metadata
from shared.contracts.invoices import CauseKind
from shared.runtime.clock import utc_now
from shared.runtime.connection import open_connection
from shared.runtime.database import create_engine, migrate
from shared.runtime.publisher import open_publisher
from shared.runtime.service import Stop, running
from shared.runtime.web import WebServer
from support.builders import make_enriched
from support.notifier import status_update
from support.waiting import eventually

pytestmark = pytest.mark.integration

ALWAYS = """
defaults:
  contact_hours: {start: "00:00", end: "24:00", days: [mon, tue, wed, thu, fri, sat, sun], holidays: false}
"""


@asynccontextmanager
async def graph() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """An API that accepts everything and keeps what it was sent."""
    seen: list[dict[str, Any]] = []

    async def messages(request: Request) -> Response:
        seen.append({"authorization": request.headers["authorization"], **json.loads(await request.body())})
        return JSONResponse({"messages": [{"id": f"wamid.{len(seen)}", "message_status": "accepted"}]})

    server = WebServer([Route("/v25.0/4711/messages", messages, methods=["POST"])], "127.0.0.1", 0)
    port = await server.start()
    try:
        yield f"http://127.0.0.1:{port}", seen
    finally:
        await server.drain()


async def test_an_issued_invoice_is_posted_once_and_its_delivery_recorded(
    amqp_url: str, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text(ALWAYS, encoding="utf-8")
    now = utc_now()
    event = make_enriched(
        cause={"kind": CauseKind.WEBHOOK, "event_type": "CREATE", "event_at": now},
        invoice={"issued_on": now.date(), "due_on": now.date()},
        read_at=now,
    )
    engine = create_engine(database_url)

    async def states() -> list[str]:
        async with engine.connect() as db:
            return list(await db.scalars(sa.select(intents.c.state)))

    async with graph() as (url, seen):
        settings = NotifierSettings(
            amqp_url=SecretStr(amqp_url),
            notifier_database_url=SecretStr(database_url),
            whatsapp_api_url=url,
            whatsapp_access_token=SecretStr("a-token"),
            whatsapp_phone_number_id="4711",
            policy_file=str(tmp_path / "policy.yaml"),
            notifier_port=0,
        )
        async with (
            running("notifier", settings, create_app, Stop()),
            open_connection(amqp_url, "test") as connection,
            open_publisher(connection, "test") as events,
        ):
            for _ in range(3):
                await events.publish(event)
            await eventually(lambda: seen, seconds=60, what="the POST")
            reference = seen[0]["biz_opaque_callback_data"]
            await events.publish(status_update("delivered", reference, "wamid.1"))

            async def delivered() -> bool:
                return await states() == ["delivered"]

            await eventually(delivered, seconds=60, what="the delivery")
    await engine.dispose()
    assert len(seen) == 1
    assert (seen[0]["authorization"], seen[0]["to"]) == ("Bearer a-token", "+919876543210")
    assert seen[0]["template"]["name"] == "invoice_issued"


async def test_the_migrations_make_the_tables(database_url: str) -> None:
    engine = create_engine(database_url)
    await migrate(engine, "notifier")

    def differences(connection: sa.Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with engine.connect() as db:
        found = await db.run_sync(differences)
    await engine.dispose()
    assert [item for item in found if "alembic_version" not in str(item)] == []
