"""POSTs whose end is hard to know: nobody is told twice, nothing counts as sent that was not, and no more is lost."""

import asyncio
from pathlib import Path

import pytest

from notifier.answers import unknown
from notifier.tables import attempts
from shared.contracts.scans import InvoiceLookRequestedV1
from support.builders import TENANT, make_enriched
from support.graph import KINDS, NEVER_KNOWN, TAKEN, UNSENT, Graph, graph
from support.notifier import ALWAYS, UNBRAKED, World, status_update, world
from support.sizes import rounds

EACH = rounds(200, 3)
REPLICAS = 4


def phone(number: int) -> str:
    return f"+91987654{number:04}"


async def see(notifier: World, number: int, *, scanned: bool) -> None:
    take_in = notifier.take_in if scanned else notifier.look_answered
    await take_in(invoice={"invoice_id": str(number)}, contact={"contact_id": f"c{number}", "phone": phone(number)})


async def send_until_all_have_left(notifier: World) -> None:
    """Time passes in steps of a breaker's patience, and whoever is asked for a fresh look gives it."""
    replicas = [notifier.another_sender() for _ in range(REPLICAS)]
    answered = 0
    while "planned" in await notifier.states():
        await asyncio.gather(*(replica.run_once() for replica in replicas))
        requests = notifier.events.of(InvoiceLookRequestedV1)
        for request in requests[answered:]:
            for invoice_id in request.invoice_ids:
                await see(notifier, int(invoice_id), scanned=False)
        if len(requests) == answered:
            notifier.clock.forward(seconds=31)
        answered = len(requests)


async def states(notifier: World) -> dict[str, str]:
    return {row.phone: row.state for row in await notifier.rows()}


def all_of(met: dict[str, str], kinds: tuple[str, ...]) -> set[str]:
    return {to for to, kind in met.items() if kind in kinds}


@pytest.mark.timeout(1800)
async def test_posts_whose_end_is_hard_to_know(tmp_path: Path) -> None:
    met = {phone(number): KINDS[number % len(KINDS)] for number in range(EACH * len(KINDS))}
    async with graph(met) as whatsapp, world(f"sqlite:///{tmp_path}/ledger.db", UNBRAKED) as notifier:
        notifier.provider = whatsapp  # type: ignore[assignment]  # it sends over a socket, and keeps its own count
        for number in range(len(met)):
            await see(notifier, number, scanned=True)
        await send_until_all_have_left(notifier)

        ended = await states(notifier)
        assert max(whatsapp.copies.values()) == 1
        assert {to for to, state in ended.items() if state == "accepted"} <= set(whatsapp.copies)
        assert {to for to, state in ended.items() if state == "accepted"} == all_of(met, UNSENT)
        in_doubt = all_of(met, (*TAKEN, *NEVER_KNOWN))
        assert {to for to, state in ended.items() if state == "unknown"} == in_doubt
        assert len(await unknown(notifier.engine, TENANT)) == len(in_doubt)

        await call_back(notifier, whatsapp)
        settled = await states(notifier)
        assert {to for to, state in settled.items() if state == "sent"} == set(whatsapp.copies)
        assert {to for to, state in settled.items() if state == "unknown"} == all_of(met, NEVER_KNOWN)
        assert max(whatsapp.copies.values()) == 1
        assert {row.tries for row in await notifier.rows()} == {1}
        assert len(await notifier.rows(attempts)) == len(met) + len(all_of(met, UNSENT))


async def call_back(notifier: World, whatsapp: Graph) -> None:
    for message in whatsapp.taken:
        reference = message["biz_opaque_callback_data"]
        await notifier.learn(status_update("sent", reference, f"wamid.{reference}"))


async def test_many_copies_of_many_events_over_replicas_are_one_message_each(tmp_path: Path) -> None:
    keys, copies = rounds(1000, 20), rounds(20, 5)
    async with graph({}) as whatsapp, world(f"sqlite:///{tmp_path}/ledger.db", UNBRAKED) as notifier:
        notifier.provider = whatsapp  # type: ignore[assignment]  # as above
        at_once = asyncio.Semaphore(50)

        old = [
            make_enriched(
                invoice={"invoice_id": str(number)}, contact={"contact_id": f"c{number}", "phone": phone(number)}
            )
            for number in range(keys)
        ]

        async def one(number: int) -> None:
            async with at_once:
                await notifier.take_in(old[number])

        async def all_copies() -> None:
            replicas = [notifier.another_sender() for _ in range(REPLICAS)]
            for _ in range(copies):
                await asyncio.gather(*(one(number) for number in range(keys)))
                await asyncio.gather(*(replica.run_once() for replica in replicas))

        await all_copies()
        assert whatsapp.copies == {phone(number): 1 for number in range(keys)}
        for days in (1, 6, 24):
            notifier.clock.forward(days=days)
            for number in range(keys):
                # The very event, not the invoice read anew: what it said then is all that it says.
                await notifier.take_in(old[number])
            await notifier.sender.run_once()
        assert len(whatsapp.taken) == keys


async def test_a_wave_of_invoices_due_at_once_is_held_whole(tmp_path: Path) -> None:
    wave = rounds(10_000, 150)
    async with world(f"sqlite:///{tmp_path}/ledger.db", ALWAYS) as notifier:
        for number in range(wave):
            await see(notifier, number, scanned=True)
        await asyncio.gather(notifier.sender.run_once(), notifier.another_sender().run_once())
        assert notifier.provider.posts == []
        assert await notifier.states() == ["held"] * wave
        assert await notifier.told() == ["held"] * wave
