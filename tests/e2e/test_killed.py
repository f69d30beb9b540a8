"""Any one process may die at any moment: nothing is lost, nothing is doubled."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from deploy.stack import Stack
from notifier.sender import IN_FLIGHT
from support.sizes import in_full
from support.town import Town, running_stack, visit
from support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

EVENTS = 100
SETTLED = {"accepted", "sent", "delivered", "read"}


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One process of each service, so that every kill hits the only one there is."""
    folder: Path = tmp_path_factory.mktemp("killed")
    with running_stack(folder) as running:
        yield running


@pytest.fixture
async def town(own_stack: Stack) -> AsyncIterator[Town]:
    async with visit(own_stack) as visited:
        await visited.sandbox.reset(keep_settings=True)
        await visited.sandbox.settings(messages_per_second=0, auto_statuses=["sent", "delivered"])
        yield visited


async def a_hundred_events(town: Town) -> tuple[str, set[str]]:
    """A tenant and the numbers of its invoices; the events are on their way, repeated until they are taken."""
    tenant = await town.organisation()
    invoices = await town.invoices(tenant, EVENTS)
    events = [{"tenant_id": tenant, "resource_id": row["invoice_id"], "type": "CREATE"} for row in invoices]
    await town.sandbox.queue_events(events)
    return tenant, {row["invoice_number"] for row in invoices}


async def outcome(town: Town, tenant: str, numbers: set[str], seconds: float = 90) -> tuple[set[str], set[str]]:
    """Invoices of which nothing is known, and those messaged more than once, when everything has come to rest."""

    async def decided() -> list[dict[str, Any]] | None:
        rows = [row for row in await town.decisions(tenant) if row["kind"] == "issued"]
        at_rest = [row for row in rows if row["state"] in SETTLED or row["state"] == "unknown"]
        return rows if len(at_rest) == len(numbers) else None

    rows = await eventually(decided, seconds=seconds, what=f"an outcome of each of the {len(numbers)} events")
    sent = await town.sent()
    # What was claimed and not posted when its sender died is listed as unknown, and never more than may be in flight.
    listed = {row["invoice_number"] for row in rows if row["state"] == "unknown"}
    assert len(listed) <= IN_FLIGHT
    return {number for number in numbers - listed if not sent[number]}, {n for n in numbers if sent[n] > 1}


@pytest.mark.parametrize("signal", [Signals.SIGKILL, *([Signals.SIGTERM] if in_full() else [])])
@pytest.mark.parametrize(
    # The token-broker's deaths have proofs of their own; the scheduler has nothing in hand here.
    "service",
    ["ingress", "fetcher", "notifier", *(["token-broker", "scheduler"] if in_full() else [])],
)
async def test_a_service_that_dies_among_a_hundred_events_loses_and_doubles_none(
    town: Town, service: str, signal: Signals
) -> None:
    tenant, numbers = await a_hundred_events(town)
    if service == "notifier":
        await eventually(town.sent, seconds=30, what="the first message")
    await town.kill(service, signal)
    lost, doubled = await outcome(town, tenant, numbers)
    assert (lost, doubled) == (set(), set())


async def test_consumers_are_back_within_thirty_seconds_of_rabbitmq(town: Town) -> None:
    tenant, numbers = await a_hundred_events(town)
    town.stack.kill("rabbitmq", Signals.SIGKILL)

    async def refused() -> bool:
        body = b'{"events":[{"tenantId":"t","resourceId":"i","eventCategory":"INVOICE","eventType":"CREATE"}]}'
        began = asyncio.get_running_loop().time()
        (answer,) = await town.sandbox.send_events(raw=body.decode())
        assert asyncio.get_running_loop().time() - began < 2.5
        return bool(answer["status"] == 503)

    await eventually(refused, seconds=20, what="a refusal while RabbitMQ is away")
    await eventually(lambda: answers(town), seconds=60, what="RabbitMQ")
    await asyncio.to_thread(town.stack.wait_ready, 30)
    lost, doubled = await outcome(town, tenant, numbers)
    assert (lost, doubled) == (set(), set())


async def answers(town: Town) -> bool:
    return town.process("rabbitmq").state == "ready"


async def test_redis_killed_remembers_what_its_scripts_wrote(town: Town) -> None:
    import redis.asyncio

    tenant, numbers = await a_hundred_events(town)
    await eventually(town.sent, seconds=30, what="the first message")

    async def calls() -> set[str]:
        async with redis.asyncio.Redis.from_url(town.stack.redis_url) as client:
            members = await client.zrange(f"duebell:fetcher:calls:{{{tenant}}}:window", 0, -1)
        return {str(member) for member in members}

    before = await calls()
    # A machine that dies may forget the last second; a killed process forgets nothing.
    await town.kill("redis", Signals.SIGKILL)
    assert before
    assert before <= await calls()
    lost, doubled = await outcome(town, tenant, numbers)
    assert (lost, doubled) == (set(), set())


@pytest.mark.skipif(not in_full(), reason="takes long: TEST_SIZE=full")
async def test_redis_emptied_at_any_moment_loses_and_doubles_none(town: Town) -> None:
    import redis.asyncio

    tenant, numbers = await a_hundred_events(town)
    async with redis.asyncio.Redis.from_url(town.stack.redis_url) as client:
        for _ in range(5):
            await client.flushall()
    lost, doubled = await outcome(town, tenant, numbers)
    assert (lost, doubled) == (set(), set())
