"""What WhatsApp's double took for a contact with several overdue invoices: one message, and what it says."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from notifier.adapters.whatsapp import WhatsAppProvider
from sandbox.app import create_app
from sandbox.client import Sandbox
from support.notifier import world
from support.statements import THREE, gathered, grouped
from unit.sandbox.playing import BASE, BEARER, Clock, Receiver

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("language", ["en", "hi"])
async def test_one_post_carries_the_statement(tmp_path: Path, language: str) -> None:
    app = create_app(httpx.AsyncClient(transport=httpx.MockTransport(Receiver())), Clock())
    transport = httpx.ASGITransport(app=app)
    async with (
        httpx.AsyncClient(transport=transport, base_url=BASE) as plain,
        httpx.AsyncClient(transport=transport, base_url="https://graph.facebook.com", headers=BEARER) as graph,
        world(f"sqlite+aiosqlite:///{tmp_path}/ledger.db", grouped(language=language)) as notifier,
    ):
        await gathered(notifier, *THREE)
        double: Any = WhatsAppProvider(graph, path="/v25.0/100000000000001/messages", deadline_seconds=10)
        notifier.provider = double
        await notifier.another_sender().run_once()
        assert await notifier.states() == ["accepted"] * 3
        # The double refuses a message whose parameters are not its template's.
        (posted,) = await Sandbox(BASE, plain).messages()
        assert (posted["template"], posted["language"]) == ("statement", language)
        assert posted["parameters"]["invoice_count"] == "3"
        assert posted["parameters"]["totals"] == "INR 600.00"
        assert "INR 600.00" in posted["text"]
        await app.state.world.close()
