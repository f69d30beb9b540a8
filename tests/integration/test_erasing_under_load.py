"""Persons erased while everything runs: no database, cache, queue or dead letter tells of them, nothing leaves later."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from aio_pika import Message
from pydantic import SecretStr
from redis.asyncio import Redis

from fetcher.adapters.contact_cache import RedisContactCache
from notifier.app import create_app
from notifier.erasing import ErasePerson
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
from shared.topology import queues
from support.builders import TENANT, make_enriched
from support.sizes import rounds
from support.waiting import eventually
from test_notifier_service import ALWAYS, graph

pytestmark = pytest.mark.integration
KEY = SecretStr("a key of thirty-two characters!!")
PEOPLE = 8
ERASED = (1, 2, 3)


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


@pytest.mark.timeout(300)
async def test_erased_under_load(amqp_url: str, redis_url: str, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(ALWAYS, encoding="utf-8")
    engine, redis = create_engine(database_url), Redis.from_url(redis_url, decode_responses=True)
    cache, turns, left_at = RedisContactCache(redis), rounds(60, 12), dict[int, float]()
    settings = NotifierSettings(
        amqp_url=SecretStr(amqp_url),
        notifier_database_url=SecretStr(database_url),
        whatsapp_access_token=SecretStr("a-token"),
        whatsapp_phone_number_id="4711",
        policy_file=str(tmp_path / "policy.yaml"),
        notifier_port=0,
        erasure_key=KEY,
    )

    async def states() -> Counter[str]:
        async with engine.connect() as db:
            return Counter(await db.scalars(sa.select(intents.c.state)))

    async with (
        graph() as (url, seen),
        running("notifier", settings.model_copy(update={"whatsapp_api_url": url}), create_app, Stop()),
        open_connection(amqp_url, "test") as connection,
        open_publisher(connection, "test") as events,
    ):
        half = asyncio.Event()

        async def publish() -> None:
            for turn in range(turns):
                await asyncio.gather(*(events.publish(event(person, turn)) for person in range(PEOPLE)))
                if turn == turns // 2:
                    half.set()

        channel = await connection.channel()
        for person in (0, 1, 2):
            body = event(person, 99).model_dump_json().encode()
            await channel.default_exchange.publish(Message(body), routing_key=queues.dead_queue("notifier"))
        for person in range(PEOPLE):
            await cache.keep(TENANT, [event(person, 0).contact], utc_now())
        publishing = asyncio.create_task(publish())
        await half.wait()
        await eventually(lambda: len(seen) >= PEOPLE, what="the first messages")
        erase, removed = ErasePerson(engine, Persons(KEY)), Counter[str]()
        for person in ERASED:
            done = await erase(f"contact-{person}", None, utc_now(), really=True)
            removed.update(await purge(connection, done.words, really=True))
            await cache.erase(TENANT, sorted(done.person.contacts), really=True)
        erased_at = time.monotonic()
        before = len(seen)
        await publishing
        for person in ERASED:  # read by the fetcher once more
            await cache.keep(TENANT, [event(person, 0).contact], utc_now())

        async def all_are_at_their_end() -> bool:
            known = await states()
            return known["accepted"] + known["cancelled"] == known.total() and known["accepted"] >= 5 * 2

        async def taken_in() -> bool:
            asked = await channel.declare_queue(queues.NOTIFIER_INVOICE_ENRICHED.name, passive=True)
            return not asked.declaration_result.message_count and await all_are_at_their_end()

        await eventually(taken_in, timeout=120, what="the end of all messages")
        await asyncio.sleep(0)
        left_at[before] = erased_at
        dead = await channel.get_queue(queues.dead_queue("notifier"), ensure=True)
        letters = [letter async for letter in _all(dead)]
    async with engine.connect() as db:
        rows = [str(tuple(row)) for table in metadata.sorted_tables for row in await db.execute(sa.select(table))]
    kept = [f"{key} {await redis.get(key)}" for key in await redis.keys("*") if await redis.type(key) == "string"]
    everything = json.dumps([rows, letters, [line.partition(" ")[2] for line in kept]])
    assert [trace for trace in traces() if trace in everything] == []
    assert removed == {"notifier.dead": 2}
    assert len(letters) == 1
    assert number(0)[1:] in everything
    late = [post["to"] for post in seen[before:]]
    assert not {number(person) for person in ERASED} & set(late[16:])
    assert (await states())["accepted"] > 0
    await redis.aclose()
    await engine.dispose()
