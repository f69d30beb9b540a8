"""Persons erased while everything runs: no database, cache, queue or dead letter tells of them, nothing leaves."""

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aio_pika import Message
from aio_pika.abc import AbstractRobustConnection
from pydantic import SecretStr
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fetcher.adapters.contact_cache import RedisContactCache
from notifier.app import create_app
from notifier.erasing import ErasePerson
from notifier.halts import START_WITHIN
from notifier.persons import Persons
from notifier.settings import NotifierSettings
from notifier.tables import intents, metadata
from shared.contracts.invoices import CauseKind, InvoiceEnrichedV1
from shared.runtime.clock import utc_now
from shared.runtime.connection import open_connection
from shared.runtime.database import create_engine
from shared.runtime.dead_letters import purge
from shared.runtime.publisher import open_publisher
from shared.runtime.service import Stop, running
from shared.runtime.web import WebServer
from shared.topology import queues
from support.builders import TENANT, make_enriched
from support.sizes import rounds
from support.waiting import eventually

pytestmark = pytest.mark.integration
KEY = SecretStr("a key of thirty-two characters!!")
PEOPLE = 8
ERASED = (1, 2, 3)


ALWAYS = """
defaults:
  contact_hours: {start: "00:00", end: "24:00", days: [mon, tue, wed, thu, fri, sat, sun], holidays: false}
  brake: {per_tenant_per_hour: 100000, usual_floor: 100000}
"""


@asynccontextmanager
async def whatsapp() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Accepts everything, tells the number in its id as Meta does, and keeps what it was sent."""
    seen: list[dict[str, Any]] = []

    async def messages(request: Request) -> Response:
        seen.append(json.loads(await request.body()))
        inside = f"..{seen[-1]['to']}..{len(seen)}".encode()
        return JSONResponse({"messages": [{"id": f"wamid.{base64.b64encode(inside).decode()}"}]})

    server = WebServer([Route("/v25.0/4711/messages", messages, methods=["POST"])], "127.0.0.1", 0)
    port = await server.start()
    try:
        yield f"http://127.0.0.1:{port}", seen
    finally:
        await server.drain()


def number(person: int) -> str:
    return f"+9198765400{person:02}"


def event(person: int, turn: int) -> InvoiceEnrichedV1:
    now = utc_now()
    return make_enriched(
        cause={"kind": CauseKind.WEBHOOK, "event_type": "CREATE", "event_at": now},
        invoice={"invoice_id": f"i{person}-{turn}", "number": f"N{person}-{turn}", "issued_on": now.date()}
        | {"due_on": now.date()},
        contact={"contact_id": f"contact-{person}", "name": f"Trader No {person}.", "phone": number(person)},
        read_at=now,
    )


def traces() -> Iterator[str]:
    for person in ERASED:
        yield from (number(person)[1:], f"contact-{person}", f"Trader No {person}.")


async def dead_letters(connection: AbstractRobustConnection) -> list[str]:
    channel = await connection.channel()
    queue = await channel.get_queue(queues.dead_queue("notifier"), ensure=True)
    letters = []
    while (letter := await queue.get(fail=False)) is not None:
        letters.append(letter.body.decode())
        await letter.ack()
    return letters


@pytest.mark.timeout(300)
async def test_erased_under_load(amqp_url: str, redis_url: str, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(ALWAYS, encoding="utf-8")
    engine, redis = create_engine(database_url), Redis.from_url(redis_url, decode_responses=True)
    cache, turns, removed = RedisContactCache(redis), rounds(60, 8), Counter[str]()
    settings = NotifierSettings(
        amqp_url=SecretStr(amqp_url),
        notifier_database_url=SecretStr(database_url),
        whatsapp_access_token=SecretStr("a-token"),
        whatsapp_phone_number_id="4711",
        policy_file=str(tmp_path / "policy.yaml"),
        notifier_port=0,
        erasure_key=KEY,
    )

    async def of_others() -> int:
        async with engine.connect() as db:
            others = intents.c.contact_id.in_([f"contact-{person}" for person in range(PEOPLE) if person not in ERASED])
            return int(await db.scalar(sa.select(sa.func.count()).select_from(intents).where(others)) or 0)

    async with (
        whatsapp() as (url, seen),
        running("notifier", settings.model_copy(update={"whatsapp_api_url": url}), create_app, Stop()),
        open_connection(amqp_url, "test") as connection,
        open_publisher(connection, "test") as events,
    ):

        async def publish(first: int, last: int) -> None:
            for turn in range(first, last):
                await asyncio.gather(*(events.publish(event(person, turn)) for person in range(PEOPLE)))

        channel = await connection.channel()
        for person in (0, 1, 2):
            body = event(person, 99).model_dump_json().encode()
            await channel.default_exchange.publish(Message(body), routing_key=queues.dead_queue("notifier"))
        for person in range(PEOPLE):
            await cache.keep(TENANT, [event(person, 0).contact], utc_now())
        publishing = asyncio.create_task(publish(0, turns))
        await eventually(lambda: len(seen) >= PEOPLE, seconds=60, what="the first messages")
        for person in ERASED:
            done = await ErasePerson(engine, Persons(KEY))(f"contact-{person}", None, utc_now(), really=True)
            removed.update(await purge(connection, done.words, really=True))
            await cache.erase(TENANT, sorted(done.person.contacts), really=True)
        returned_at = time.monotonic()
        await eventually(lambda: time.monotonic() - returned_at > START_WITHIN.total_seconds(), what="claims to end")
        already = len(seen)
        await publishing
        await publish(turns, turns + 5)
        for person in ERASED:  # the fetcher reads them once more
            await cache.keep(TENANT, [event(person, 0).contact], utc_now())

        async def all_is_taken_in() -> bool:
            waiting = await channel.declare_queue(queues.NOTIFIER_INVOICE_ENRICHED.name, passive=True)
            left = waiting.declaration_result.message_count
            return not left and await of_others() == (PEOPLE - len(ERASED)) * (turns + 5)

        await eventually(all_is_taken_in, seconds=120, what="all decisions")
        letters = await dead_letters(connection)
    async with engine.connect() as db:
        rows = [str(tuple(row)) for table in metadata.sorted_tables for row in await db.execute(sa.select(table))]
    cached = [str(await redis.get(key)) for key in await redis.keys("duebell:*")]
    everything = json.dumps([rows, letters, cached])
    assert [trace for trace in traces() if trace in everything] == []
    assert number(0)[1:] in everything
    assert (removed, len(letters)) == ({"notifier.dead": 2}, 1)
    assert not {number(person) for person in ERASED} & {post["to"] for post in seen[already:]}
    await redis.aclose()
    await engine.dispose()
