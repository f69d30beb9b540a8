"""No token, code or key is found anywhere but in the token-broker's own memory, the fetcher's and Xero's."""

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis.asyncio

from support.town import Town
from support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PIECE = 16
"""Characters that make a find: logs like to cut a token short."""
CLIENT_SECRET = "sandbox-secret"

Contents = Mapping[str, bytes]
Places = Mapping[str, Contents]


def files(folder: Path, pattern: str = "*") -> Contents:
    found = {}
    for path in folder.rglob(pattern):
        # A server may replace a file at any moment.
        with suppress(FileNotFoundError):
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


async def redis_values(url: str) -> Contents:
    """Key → name and everything in it, whatever its type."""
    async with redis.asyncio.Redis.from_url(url) as client:
        readers: dict[bytes, Callable[[bytes], Awaitable[Any]]] = {
            b"string": client.get,
            b"hash": client.hgetall,
            b"set": client.smembers,
            b"list": lambda key: client.lrange(key, 0, -1),
            b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
            b"stream": client.xrange,
        }
        found = {}
        async for key in client.scan_iter():
            kind: Any = await client.type(key)
            if kind != b"none":
                found[key.decode()] = key + repr(await readers[kind](key)).encode()
        return found


def processes(pids: list[int], what: str) -> Contents:
    """Process id → its ``cmdline`` or ``environ``."""
    found = {}
    for pid in pids:
        with suppress(OSError):
            found[str(pid)] = Path(f"/proc/{pid}/{what}").read_bytes()
    return found


def pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def brokers(town: Town) -> set[int]:
    return {process.pid for process in town.stack.processes() if process.service == "token-broker"}


async def places(town: Town, pages: Contents) -> Places:
    folder = town.stack.folder
    everywhere = {
        "logs": files(town.stack.logs),
        "the token-broker's database": files(folder / "data", "token-broker.db*"),
        "the notifier's database": files(folder / "data", "notifier.db*"),
        "Redis": await redis_values(town.stack.redis_url),
        "Redis's files": files(folder / "redis"),
        "RabbitMQ's files": files(folder / "rabbitmq"),
        "pages": pages,
    }
    if sys.platform == "linux":
        everywhere["command lines"] = processes(pids(), "cmdline")
        everywhere["environments"] = processes([pid for pid in pids() if pid not in brokers(town)], "environ")
    return everywhere


def spellings(secret: str) -> set[bytes]:
    plain = secret.encode()
    return {plain, base64.b64encode(plain).rstrip(b"=")[:-2], plain.hex().encode()}


def pieces(issued: Mapping[str, list[str]]) -> dict[bytes, str]:
    """What to look for → what it is. All access tokens begin alike; their ends tell them apart."""
    found = {}
    for kind, values in issued.items():
        for value in values:
            parts = [value[-PIECE:]] if kind == "access_tokens" else [value[:PIECE], value[-PIECE:]]
            found.update({spelling: kind for part in parts for spelling in spellings(part)})
    return found


def keys(town: Town) -> dict[bytes, str]:
    secrets: dict[str, str] = json.loads((town.stack.folder / "trial-secrets.json").read_text())
    ring = [entry.partition(":")[2] for entry in secrets["DUEBELL_TOKEN_KEYS"].split(",")]
    raw = {base64.b64decode(key): "a token key" for key in ring}
    shown = {spelling: "a token key" for key in ring for spelling in spellings(key)}
    return {**raw, **shown, **dict.fromkeys(spellings(secrets["DUEBELL_ADMIN_SECRET"]), "the admin secret")}


def hits(where: Places, needles: Mapping[bytes, str]) -> set[tuple[str, str, str]]:
    """Place, file, key or process there, and what was found."""
    return {
        (place, name, kind)
        for place, contents in where.items()
        for name, content in contents.items()
        for needle, kind in needles.items()
        if needle in content
    }


class Visitor:
    """A browser that keeps every page it was shown, headers included."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self.pages: dict[str, bytes] = {}

    async def open(self, url: str, method: str = "GET") -> httpx.Response:
        page = await self._town.http.request(method, url)
        headers = "\n".join(f"{name}: {value}" for name, value in page.headers.items() if name != "location")
        self.pages[f"{len(self.pages)}: {page.status_code}"] = headers.encode() + page.content
        return page

    async def back(self, tenant: str, *, allow: bool = True) -> httpx.URL:
        """To Xero's login and so far that one more step leads back."""
        to_login = await self.open(await self._town.connect_link())
        location = to_login.headers["location"]
        return httpx.URL(await self._town.sandbox.consent(location, allow=allow, organisations=[tenant]))


async def connect(town: Town, visitor: Visitor, tenant: str, name: str) -> None:
    await town.sandbox.organisation(name, tenant_id=tenant)
    back = await visitor.back(tenant)
    assert (await visitor.open(str(back))).status_code == 200
    assert (await visitor.open(str(back))).status_code == 410


async def wrong_visits(visitor: Visitor, tenant: str) -> None:
    """Callbacks with a code that Xero did issue, and pages about what is wrong with them."""
    back = await visitor.back(tenant)
    statuses = [
        (await visitor.open(str(back.copy_set_param("state", "another state")))).status_code,
        (await visitor.open(str(back.copy_remove_param("state")))).status_code,
        (await visitor.open(str(back), "POST")).status_code,
        (await visitor.open(str(back.copy_set_param("code", f"{back.params['code']}x")))).status_code,
        (await visitor.open(str(await visitor.back(tenant, allow=False)))).status_code,
        (await visitor.open(str(back.copy_with(path="/connect")))).status_code,
    ]
    assert statuses == [400, 400, 405, 400, 403, 403]


async def announce(town: Town, tenant: str) -> str:
    (invoice,) = await town.invoices(tenant, 1)
    await town.sandbox.send_events([{"tenant_id": tenant, "resource_id": invoice["invoice_id"], "type": "CREATE"}])
    return str(invoice["invoice_number"])


async def live(town: Town, tenants: list[str]) -> None:
    """Hand-outs, refreshes, and at last a refused grant."""
    for _ in range(3):
        numbers = [await announce(town, tenant) for tenant in tenants]

        async def told(numbers: list[str] = numbers) -> bool:
            return set(numbers) <= (await town.sent()).keys()

        await eventually(told, seconds=30, what="the messages")
        await town.sandbox.expire_tokens()
    await town.sandbox.revoke_grants()
    lost = await lost_grants(town)
    await announce(town, tenants[0])

    async def refused() -> bool:
        return await lost_grants(town) > lost

    await eventually(refused, seconds=60, what="the loss of the grant")


async def lost_grants(town: Town) -> int:
    text = "".join([(await town.http.get(f"{town.stack.url('token-broker', n)}/metrics")).text for n in (1, 2)])
    name = "duebell_token_broker_grants_lost_total "
    return sum(int(float(line.removeprefix(name))) for line in text.splitlines() if line.startswith(name))


@asynccontextmanager
async def planted(town: Town, canary: str) -> AsyncIterator[None]:
    """``canary`` where the product itself does not put an organisation's id: each kind of Redis value, a process."""
    name = "duebell:test:canary:"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; print(flush=True); sys.stdin.read()",
        canary,
        env={**os.environ, "CANARY": canary},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    async with redis.asyncio.Redis.from_url(town.stack.redis_url) as client:
        await client.set(f"{name}string", canary)
        await client.hset(f"{name}hash", "field", canary)
        await client.sadd(f"{name}set", canary)
        await client.rpush(f"{name}list", canary)
        await client.zadd(f"{name}zset", {canary: 1})
        await client.xadd(f"{name}stream", {"field": canary})
        try:
            yield
        finally:
            await client.delete(*(f"{name}{kind}" for kind in ("string", "hash", "set", "list", "zset", "stream")))
            await process.communicate(b"")


async def test_no_token_code_or_key_is_found_where_it_should_not_be(town: Town) -> None:
    visitor, canary, other = Visitor(town), str(uuid4()), str(uuid4())
    await connect(town, visitor, canary, f"Canary {canary}")
    await connect(town, visitor, other, "Harbour Supplies")
    await wrong_visits(visitor, other)
    await live(town, [canary, other])
    issued = await town.sandbox.tokens()
    enough = {"codes": 3, "access_tokens": 4, "refresh_tokens": 4}
    assert {kind for kind, count in enough.items() if len(issued[kind]) >= count} == issued.keys()

    async with planted(town, canary):
        where = await places(town, visitor.pages)
    assert {place for place, contents in where.items() if not any(contents.values())} == set()
    seen = hits(where, {canary.encode(): "the canary"})
    assert {place for place, _, _ in seen} == where.keys()
    assert len([name for _, name, _ in seen if name.startswith("duebell:test:canary:")]) == 6

    assert hits(where, pieces(issued) | keys(town)) == set()
    own = {place: contents for place, contents in where.items() if place not in {"command lines", "environments"}}
    ours = [process.pid for process in town.stack.processes() if process.service != "token-broker"]
    own["our processes"] = {**processes(ours, "environ"), **processes([*ours, *brokers(town)], "cmdline")}
    assert hits(own, {CLIENT_SECRET.encode(): "the client secret"}) == set()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_the_secrets_are_where_the_search_leaves_out(town: Town) -> None:
    """Else the search could be looking for the wrong things."""
    where = {"token-broker": processes(sorted(brokers(town)), "environ")}
    found = {kind for _, _, kind in hits(where, {**keys(town), CLIENT_SECRET.encode(): "the client secret"})}
    assert found == {"a token key", "the admin secret", "the client secret"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_the_running_token_broker_may_not_dump_its_memory(town: Town) -> None:
    for pid in brokers(town):
        limits = processes([pid], "limits")[str(pid)].decode().splitlines()
        assert ["Max", "core", "file", "size", "0", "0", "bytes"] in [line.split() for line in limits]
