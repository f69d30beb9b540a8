"""A sandbox in this process, its clock in the test's hands, and a receiver for the webhooks it sends."""

from collections.abc import AsyncIterator

import httpx
import pytest

from sandbox.app import create_app
from sandbox.client import Sandbox
from unit.sandbox.playing import BASE, Clock, Double, Receiver


@pytest.fixture
async def double() -> AsyncIterator[Double]:
    clock, receiver = Clock(), Receiver()
    app = create_app(httpx.AsyncClient(transport=httpx.MockTransport(receiver)), clock)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE)
    async with http:
        yield Double(app, http, Sandbox(BASE, http), clock, receiver)
        await app.state.world.close()
