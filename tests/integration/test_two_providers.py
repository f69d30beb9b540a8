"""One installation, one organisation on Meta and one on Twilio: ingress and notifier between the sandbox's doubles."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from ingress.app import create_app as create_ingress
from ingress.settings import IngressSettings
from notifier.app import create_app as create_notifier
from notifier.settings import NotifierSettings
from notifier.tables import decisions, intents
from sandbox.app import create_app as create_sandbox
from sandbox.client import Sandbox
from sandbox.settings import Settings
from sandbox.twilio.messages import content_sid
from shared.contracts.invoices import CauseKind
from shared.runtime.clock import utc_now
from shared.runtime.connection import open_connection
from shared.runtime.database import create_engine
from shared.runtime.publisher import open_publisher
from shared.runtime.service import Stop, running
from shared.runtime.web import WebServer
from support.builders import make_enriched
from support.waiting import eventually

pytestmark = pytest.mark.integration

PUBLIC = "https://duebell.example/webhooks/twilio"
POLICY = """
defaults:
  alerts: {issued: true}
  stages: []
  contact_hours: {start: "00:00", end: "24:00", days: [mon, tue, wed, thu, fri, sat, sun], holidays: false}
tenants:
  t2: {sender: meera}
"""
DOUBLE = Settings()
ON_META, ON_TWILIO = "+919876540001", "+919876540002"


def senders(api_url: str) -> str:
    return f"""
senders:
  meera:
    provider: twilio
    api_url: {api_url}
    account_sid: {DOUBLE.twilio_account_sid}
    number: "{DOUBLE.twilio_number}"
    templates:
      invoice_issued: {{en: {content_sid("invoice_issued", "en")}}}
"""


@asynccontextmanager
async def sandbox() -> AsyncIterator[tuple[str, Sandbox]]:
    app = create_sandbox()
    server = WebServer(app, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{await server.start()}"
    try:
        async with Sandbox(url, httpx.AsyncClient(trust_env=False, timeout=30)) as client:
            yield url, client
    finally:
        await server.drain()
        await app.state.world.close()


def issued(tenant: str, number: int, phone: str) -> Any:
    now = utc_now()
    return make_enriched(
        tenant_id=tenant,
        cause={"kind": CauseKind.WEBHOOK, "event_type": "CREATE", "event_at": now},
        invoice={"invoice_id": f"i{number}", "number": f"INV-{number}", "issued_on": now.date(), "due_on": now.date()},
        contact={"contact_id": f"c{number}", "phone": phone},
        read_at=now,
    )


async def test_one_is_stopped_and_the_other_flows(amqp_url: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    database = f"sqlite:///{tmp_path}/ledger.db"
    async with sandbox() as (url, double):
        (tmp_path / "senders.yaml").write_text(senders(url), encoding="utf-8")
        notifier = NotifierSettings(
            amqp_url=SecretStr(amqp_url),
            notifier_database_url=SecretStr(database),
            whatsapp_api_url=url,
            whatsapp_access_token=DOUBLE.whatsapp_token,
            whatsapp_phone_number_id=DOUBLE.phone_number_id,
            policy_file=str(tmp_path / "policy.yaml"),
            senders_file=str(tmp_path / "senders.yaml"),
            sender_secrets={"meera": DOUBLE.twilio_auth_token},
            twilio_webhook_url=PUBLIC,
            notifier_port=0,
        )
        ingress = IngressSettings(
            amqp_url=SecretStr(amqp_url),
            xero_webhook_keys=(SecretStr("key"),),
            whatsapp_app_secret=DOUBLE.app_secret,
            whatsapp_verify_token=DOUBLE.verify_token,
            twilio_auth_tokens=(DOUBLE.twilio_auth_token,),
            twilio_webhook_url=PUBLIC,
            ingress_port=0,
        )
        async with (
            running("ingress", ingress, create_ingress, Stop()) as door,
            running("notifier", notifier, create_notifier, Stop()),
            open_connection(amqp_url, "test") as connection,
            open_publisher(connection, "test") as events,
        ):
            address = f"http://127.0.0.1:{door.port}"
            await double.settings(
                whatsapp_webhook_url=f"{address}/webhooks/whatsapp",
                twilio_webhook_url=PUBLIC,
                twilio_forward_to=f"{address}/webhooks/twilio",
            )
            await double.fault("whatsapp.message", "graph", code=190, status=401)
            await events.publish(issued("t1", 1, ON_META))

            async def refused() -> bool:
                return bool(await double.journal("whatsapp.refused"))

            await eventually(refused, what="the refusal by Meta")
            await events.publish(issued("t2", 2, ON_TWILIO))

            async def sent() -> bool:
                return bool(await double.journal("twilio.message"))

            await eventually(sent, what="the message by Twilio")
            (message,) = await double.messages()
            assert (message["number"], message["template"]) == (ON_TWILIO, "invoice_issued")
            for status in ("queued", "sent", "delivered"):
                (answer,) = await double.status(message["wamid"], status, copies=1)
                assert answer["status"] == 200
            (forged,) = await double.status(message["wamid"], "failed", forged=True)
            assert forged["status"] == 401

            async def delivered() -> bool:
                return await _states(database) == {"i1": "planned", "i2": "delivered"}

            await eventually(delivered, what="the delivery")
            stop = await double.inbound(ON_TWILIO, "Stop messages", provider="twilio", context=message["wamid"])
            assert stop["answers"][0]["status"] == 200
            await events.publish(issued("t1", 3, ON_TWILIO))

            async def settled() -> bool:
                return await _rule(database, "i3") == "opted_out"

            await eventually(settled, what="the wish that holds for every sender")
        assert len(await double.journal("twilio.message")) == 1
        assert await double.journal("whatsapp.message") == []


async def _states(database: str) -> dict[str, str]:
    engine = create_engine(database)
    async with engine.connect() as db:
        rows = await db.execute(sa.select(intents.c.invoice_id, intents.c.state))
        found = {row.invoice_id: row.state for row in rows}
    await engine.dispose()
    return found


async def _rule(database: str, invoice_id: str) -> str | None:
    engine = create_engine(database)
    async with engine.connect() as db:
        rule: str | None = await db.scalar(sa.select(decisions.c.rule).where(decisions.c.invoice_id == invoice_id))
    await engine.dispose()
    return rule
