"""The process: its ready line and port file, connections really cut, and a clean stop."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from sandbox.client import Sandbox
from support.waiting import eventually
from unit.sandbox.playing import BEARER
from unit.sandbox.test_whatsapp import MESSAGES, message


@dataclass
class Running:
    process: asyncio.subprocess.Process
    url: str
    port_file: Path


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    port_file = tmp_path / "port"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox", "--port", "0", "--port-file", str(port_file), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
    yield Running(process, line.split()[-1], port_file)
    if process.returncode is None:
        process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_it_announces_its_port(running: Running) -> None:
    assert running.url == f"http://127.0.0.1:{running.port_file.read_text()}"


async def test_connections_are_cut_before_during_and_after_the_effect(running: Running) -> None:
    async with Sandbox(running.url) as admin, httpx.AsyncClient(base_url=running.url, headers=BEARER) as http:
        expected = [("reset", httpx.ReadError, 0), ("cut", httpx.RemoteProtocolError, 1),
                    ("lose_answer_after_effect", httpx.RemoteProtocolError, 2)]  # fmt: skip
        for effect, error, accepted in expected:
            await admin.fault("whatsapp.message", effect)
            with pytest.raises(error):
                await http.post(MESSAGES, json=message())
            assert (await admin.summary())["messages_accepted"] == accepted
        assert (await http.post(MESSAGES, json=message())).status_code == 200


async def test_what_is_slow_has_its_effect_after_the_client_has_left(running: Running) -> None:
    async with Sandbox(running.url) as admin, httpx.AsyncClient(base_url=running.url, headers=BEARER) as http:
        await admin.fault("whatsapp.message", "latency", seconds=0.3)
        with pytest.raises(httpx.ReadTimeout):
            await http.post(MESSAGES, json=message(), timeout=0.1)

        async def accepted() -> bool:
            return bool((await admin.summary())["messages_accepted"] == 1)

        await eventually(accepted, what="the late effect")


async def test_two_slow_calls_overlap(running: Running) -> None:
    async with Sandbox(running.url) as admin, httpx.AsyncClient(base_url=running.url) as http:
        await admin.settings(auto_consent="allow", concurrent_calls=1, xero_latency=0.3)
        tenant = (await admin.organisation())["tenant_id"]
        query = {"response_type": "code", "client_id": "sandbox-client", "redirect_uri": "http://localhost/back",
                 "scope": "accounting.settings.read"}  # fmt: skip
        location = (await http.get("/identity/connect/authorize", params=query)).headers["location"]
        form = {"grant_type": "authorization_code", "redirect_uri": "http://localhost/back",
                "code": httpx.URL(location).params["code"]}  # fmt: skip
        tokens = await http.post("/connect/token", data=form, auth=("sandbox-client", "sandbox-secret"))
        headers = {"authorization": f"Bearer {tokens.json()['access_token']}", "xero-tenant-id": tenant,
                   "accept": "application/json"}  # fmt: skip
        calls = [http.get("/api.xro/2.0/Organisation", headers=headers) for _ in range(2)]
        answers = await asyncio.gather(*calls)
        assert sorted(answer.status_code for answer in answers) == [200, 429]
        assert (await admin.summary())["breaches_by_tenant"] == {tenant: {"limit_concurrent": 1}}
