"""How fast messages leave: each recipient's spacing, the number's pace and the day's recipients, over all replicas."""

import asyncio
import itertools
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from notifier.halts import CLAIM_SPACING
from notifier.ports import Pace
from notifier.tables import attempts
from support.notifier import ALWAYS, World, world
from support.sizes import rounds

pytestmark = pytest.mark.integration

SHARED = "+919876543210"
REPLICAS = 4


async def of_many_organisations(notifier: World, messages: int, **invoice: object) -> None:
    """Each from an organisation of its own, so that no organisation's lock keeps them apart; all to one person."""
    for number in range(messages):
        await notifier.take_in(tenant_id=f"t{number}", invoice={"invoice_id": f"i{number}", **invoice})


async def test_one_recipient_is_spaced_exactly_over_replicas_and_organisations(database_url: str) -> None:
    messages = rounds(8, 4)
    async with world(database_url, ALWAYS) as notifier:
        await of_many_organisations(notifier, messages)
        replicas = [notifier.another_sender() for _ in range(REPLICAS)]
        for _ in range(messages):
            posted = len(notifier.provider.posts)
            await asyncio.gather(*(replica.run_once() for replica in replicas))
            assert len(notifier.provider.posts) == posted + 1
            notifier.clock.forward(seconds=CLAIM_SPACING.total_seconds() - 0.001)
            await asyncio.gather(*(replica.run_once() for replica in replicas))
            assert len(notifier.provider.posts) == posted + 1
            notifier.clock.forward(seconds=0.001)
        moments = sorted(row.started_at for row in await notifier.rows(attempts))
        gaps = {after - before for before, after in itertools.pairwise(moments)}
        assert gaps == {CLAIM_SPACING}
        assert {message.to for message, _ in notifier.provider.posts} == {SHARED}


async def test_a_number_keeps_its_pace_over_replicas(database_url: str) -> None:
    messages = rounds(40, 10)
    async with world(database_url, ALWAYS, pace=Pace("1", per_second=4)) as notifier:
        for number in range(messages):
            await notifier.take_in(
                tenant_id=f"t{number % 3}",
                invoice={"invoice_id": f"i{number}"},
                contact={"contact_id": f"c{number}", "phone": f"+91987654{number:04}"},
            )
        replicas = [notifier.another_sender() for _ in range(2)]
        left: defaultdict[datetime, int] = defaultdict(int)
        while len(notifier.provider.posts) < messages:
            before = len(notifier.provider.posts)
            await asyncio.gather(*(replica.run_once() for replica in replicas))
            left[notifier.clock.now] += len(notifier.provider.posts) - before
            notifier.clock.forward(milliseconds=250)
        moments = sorted(left)
        for start in moments:
            within = sum(count for moment, count in left.items() if start <= moment < start + timedelta(seconds=1))
            # What the number may run ahead by is a quarter of a second's worth, and one more.
            assert within <= 4 + 1 + 1
        assert moments[-1] - moments[0] >= timedelta(seconds=(messages - 2) / 4 - 0.5)


async def test_the_days_recipients_are_spent_on_the_largest_and_oldest_debts(database_url: str) -> None:
    debts = [(1, "50", "2026-06-16"), (2, "900", "2026-06-16"), (3, "50", "2026-06-15"), (4, "10", "2026-06-01")]
    async with world(database_url, ALWAYS, pace=Pace("1", per_second=1_000, daily_recipients=2)) as notifier:

        async def read(number: int, amount: str, due_on: str, *, scanned: bool) -> None:
            take_in = notifier.take_in if scanned else notifier.look_answered
            await take_in(
                invoice={"invoice_id": f"i{number}", "amount_due": Decimal(amount), "due_on": due_on},
                contact={"contact_id": f"c{number}", "phone": f"+91987654000{number}"},
            )

        for debt in debts:
            await read(*debt, scanned=True)
        await asyncio.gather(notifier.sender.run_once(), notifier.another_sender().run_once())
        assert sorted(message.to[-1] for message, _ in notifier.provider.posts) == ["2", "3"]
        # Who was written to today costs nothing more.
        await notifier.take_in(
            invoice={"invoice_id": "i5", "due_on": "2026-06-16"},
            contact={"contact_id": "c2", "phone": "+919876540002"},
        )
        notifier.clock.forward(seconds=30)
        await notifier.sender.run_once()
        assert [message.to[-1] for message, _ in notifier.provider.posts][2:] == ["2"]
        notifier.clock.forward(days=1)
        for debt in debts:
            await read(*debt, scanned=False)
        await notifier.sender.run_once()
        assert sorted(message.to[-1] for message, _ in notifier.provider.posts) == ["1", "2", "2", "3", "4"]


def test_the_spacing_leaves_room_for_a_slow_start() -> None:
    """Two POSTs are never closer than six seconds, since each begins within two of its claim."""
    assert timedelta(seconds=8) == CLAIM_SPACING
