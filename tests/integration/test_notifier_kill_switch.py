"""The kill switch under load: senders in their loops, a real socket, and the times by the provider's journal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from notifier import orders
from notifier.adapters.whatsapp import WhatsAppProvider
from notifier.halts import START_WITHIN
from notifier.wiring import DEADLINE_SECONDS
from proof.figures import report
from sandbox.client import Sandbox
from shared.runtime.clock import utc_now
from shared.runtime.service import Stop
from support.builders import TENANT
from support.dying_sender import PATH, TOKEN
from support.infra import DatabaseKind, Infra, fresh_database
from support.notifier import UNBRAKED, World, world
from support.replicas import start_sandbox
from support.sizes import in_full, rounds
from support.waiting import eventually

pytestmark = pytest.mark.integration

FLIPS = rounds(50, 2)
BETWEEN = rounds(30, 4)
"""How many leave at least between one flip and the next."""
MESSAGES = rounds(50 * 60, 150)
REPLICAS = 2


@asynccontextmanager
async def loaded(notifier: World, url: str) -> AsyncIterator[None]:
    """Senders in their loops meanwhile, each with its own connections."""
    stop = Stop()
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=bearer, trust_env=False) as client:
        provider: Any = WhatsAppProvider(client, path=PATH, deadline_seconds=DEADLINE_SECONDS)
        notifier.provider = provider
        loops = [asyncio.create_task(notifier.another_sender(utc_now).run(stop)) for _ in range(REPLICAS)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*loops)


async def see_all(notifier: World) -> None:
    """All at once, and off a snapshot that is fresh now."""
    now = notifier.clock.now = utc_now()
    due = {"due_on": now.date() - timedelta(days=40)}
    for number in range(MESSAGES):
        contact = {"contact_id": f"c{number}", "phone": f"+91987{number:07}"}
        await notifier.take_in(invoice={"invoice_id": str(number), **due}, contact=contact)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["sqlite", *(["postgresql"] if in_full() else [])])
async def test_no_post_begins_later_than_two_seconds_after_a_pause_and_nothing_is_dropped(
    infra: Infra, kind: DatabaseKind, tmp_path: Path
) -> None:
    double, address = await start_sandbox(tmp_path)
    try:
        async with (
            fresh_database(infra, kind) as url,
            Sandbox(address) as sandbox,
            world(url, UNBRAKED) as notifier,
        ):
            await sandbox.settings(messages_per_second=0, auto_statuses=[])
            await orders.pause(notifier.engine, None, "ben", utc_now())
            await see_all(notifier)
            async with loaded(notifier, address):
                gaps = [await flip(notifier, sandbox, number) for number in range(FLIPS)]
                for scope in (None, TENANT):
                    await orders.resume(notifier.engine, scope, "ben", utc_now())

                async def all_left() -> bool:
                    return await notifier.states_of("accepted") == MESSAGES

                await eventually(all_left, seconds=300, what="everything that waited")
            taken = await sandbox.messages()
            assert len({message["number"] for message in taken}) == len(taken) == MESSAGES
            per_second = await rate(sandbox)
            report(f"kill_switch_{kind}", flips=FLIPS, longest_s=max(gaps), per_second=per_second, messages=len(taken))
    finally:
        double.end()


async def flip(notifier: World, sandbox: Sandbox, number: int) -> float:
    """Messages leave, somebody pauses, and those that were claimed end. Seconds from the pause to the last POST."""
    seq = await last_seq(sandbox)
    scope, before = (TENANT, None) if number % 2 else (None, TENANT if number else None)
    assert await orders.resume(notifier.engine, before, "ben", utc_now())

    async def enough_left() -> bool:
        return len(await sandbox.journal("whatsapp.message", seq)) >= BETWEEN

    await eventually(enough_left, seconds=60, what=f"{BETWEEN} messages after flip {number}")
    assert await orders.pause(notifier.engine, scope, "ben", utc_now())
    committed_at = utc_now()

    async def none_is_leaving() -> bool:
        return await notifier.states_of("sending") == 0

    await eventually(none_is_leaving, seconds=60, what="the end of what was claimed")
    if in_full():
        # What would still leave has its time to.
        await asyncio.sleep(START_WITHIN.total_seconds() + 0.5)
    assert await notifier.states_of("sending") == 0
    assert await notifier.states_of("planned") > 0, "the load ended before the pause"
    posts = await sandbox.journal("whatsapp.message", seq)
    last = max(datetime.fromisoformat(entry["time"]) for entry in posts)
    gap = (last - committed_at).total_seconds()
    assert gap <= START_WITHIN.total_seconds()
    assert await notifier.states_of("accepted") == len(await sandbox.messages())
    return round(max(gap, 0), 3)


async def last_seq(sandbox: Sandbox) -> int:
    return max((int(entry["seq"]) for entry in await sandbox.journal()), default=0)


async def rate(sandbox: Sandbox) -> float:
    """The most that left within one second, on the average of the busiest ten."""
    seconds: dict[str, int] = {}
    for entry in await sandbox.journal("whatsapp.message"):
        second = entry["time"][:19]
        seconds[second] = seconds.get(second, 0) + 1
    busiest = sorted(seconds.values())[-10:]
    return round(sum(busiest) / len(busiest), 1)
