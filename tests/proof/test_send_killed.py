"""A sender dies at each boundary of a send: nobody is told twice, every message was sent or is listed as unknown."""

import multiprocessing
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from notifier.answers import unknown
from notifier.sender import SENDER_GONE_AFTER
from proof.figures import report
from sandbox.client import Sandbox
from shared.runtime.clock import utc_now
from support.builders import TENANT
from support.dying_sender import IN_DOUBT, POINTS, Life, Point, nursery
from support.infra import DatabaseKind, Infra, fresh_database
from support.notifier import UNBRAKED, World, status_update, world
from support.replicas import Child, start_sandbox
from support.sizes import in_full, rounds
from support.waiting import eventually

pytestmark = pytest.mark.proof

NEVER_POSTED: frozenset[Point] = frozenset({"claimed", "posting", "connected"})
TAKEN: frozenset[Point] = frozenset({"accepted", "answered", "settle_written"})


@dataclass
class Lives:
    """One sender after the other on the same ledger, each a minute later than the one before by its own clock."""

    notifier: World
    folder: Path
    database_url: str
    whatsapp_url: str
    pipe: Connection
    ahead: timedelta = timedelta(0)
    invoices: int = 0
    strikes: list[tuple[Point, str]] = field(default_factory=list)

    def tick(self) -> None:
        self.ahead += SENDER_GONE_AFTER + timedelta(seconds=1)
        self.notifier.clock.now = utc_now() + self.ahead

    async def see(self, number: int) -> None:
        await self.notifier.take_in(
            invoice={"invoice_id": str(number), "due_on": self.notifier.clock.now.date() - timedelta(days=40)},
            contact={"contact_id": f"c{number}", "phone": f"+91987654{number:04}"},
        )

    async def live(self, dies_at: Point | None) -> bool:
        """Whether it ended as told; on a busy machine it may do so without having posted anything."""
        struck = self.folder / f"struck-{len(self.strikes)}"
        self.pipe.send(Life(self.database_url, self.whatsapp_url, self.ahead, dies_at, struck))
        await eventually(self.pipe.poll, seconds=60, what="the end of a sender")
        exit_code = self.pipe.recv()
        assert exit_code in {0, -SIGKILL}, (self.folder / "nursery.log").read_text(errors="replace")[-2000:]
        died = exit_code == -SIGKILL
        if died and dies_at is not None:
            self.strikes.append((dies_at, struck.read_text()))
        return died is (dies_at is not None)

    async def die(self, point: Point) -> None:
        for _ in range(10):
            self.tick()
            await self.see(self.invoices)
            self.invoices += 1
            if await self.live(point):
                return
        raise AssertionError(f"no sender came to {point}")

    async def survive(self) -> None:
        """What is left over is looked at anew and sent; what a dead sender held is called unknown."""
        for _ in range(20):
            self.tick()
            for row in await self.notifier.rows():
                if row.state == "planned":
                    await self.see(int(row.invoice_id))
            assert await self.live(None)
            if await self.notifier.states_of("planned") == 0:
                return


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["sqlite", *(["postgresql"] if in_full() else [])])
async def test_a_sender_killed_at_any_boundary_doubles_and_loses_nothing(
    infra: Infra, kind: DatabaseKind, tmp_path: Path
) -> None:
    double, address = await start_sandbox(tmp_path)
    pipe, theirs = multiprocessing.Pipe()
    senders = Child(nursery, (theirs,), tmp_path / "nursery.log")
    senders.start()
    try:
        async with (
            fresh_database(infra, kind) as database_url,
            Sandbox(address) as sandbox,
            world(database_url, UNBRAKED) as notifier,
        ):
            await sandbox.settings(messages_per_second=0, auto_statuses=[])
            lives = Lives(notifier, tmp_path, database_url, address, pipe)
            for _ in range(rounds(20, 1)):
                for point in POINTS:
                    await lives.die(point)
            await lives.survive()
            taken = await sandbox.messages()
            await judge(lives, taken)
            await settle(lives, taken)
            report(
                f"send_killed_{kind}",
                kills=len(lives.strikes),
                messages=lives.invoices,
                taken=len(taken),
                doubled=sum(count - 1 for count in copies(taken).values()),
                lost=lives.invoices - len(taken) - await notifier.states_of("unknown"),
                unknown_and_not_taken=await notifier.states_of("unknown"),
            )
    finally:
        senders.end()
        double.end()


def copies(taken: list[dict[str, Any]]) -> Counter[str]:
    return Counter(message["number"] for message in taken)


async def judge(lives: Lives, taken: list[dict[str, Any]]) -> None:
    """What WhatsApp took decides, beside what the ledger says of it."""
    rows, arrived = await lives.notifier.rows(), copies(taken)
    assert len(rows) == lives.invoices
    assert max(arrived.values()) == 1
    listed = {answer.invoice_id for answer in await unknown(lives.notifier.engine, TENANT)}
    struck: dict[str, set[Point]] = {row.intent_id: set() for row in rows}
    for point, intent_id in lives.strikes:
        struck[intent_id].add(point)
    for row in rows:
        points, came = struck[row.intent_id], arrived[row.phone]
        if points.isdisjoint(IN_DOUBT):
            assert (row.state, came) == ("accepted", 1), points
        else:
            assert row.state == "unknown", points
            assert row.invoice_id in listed
            if points & NEVER_POSTED:
                assert came == 0, points
            if points & TAKEN:
                assert came == 1, points


async def settle(lives: Lives, taken: list[dict[str, Any]]) -> None:
    """The statuses of what was taken come; what stays unknown was never taken."""
    for message in taken:
        update = status_update("sent", message["biz_opaque_callback_data"], message["wamid"])
        await lives.notifier.learn(update)
    arrived = copies(taken)
    ended = {row.phone: row.state for row in await lives.notifier.rows()}
    assert {phone for phone, state in ended.items() if state == "unknown"} == set(ended) - set(arrived)
    assert all(ended[phone] == "sent" for phone in arrived)
