"""Many events in one transaction, many claims in one: nothing is lost, doubled, reordered or taken down by another."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from notifier.adapters.ledger import SqlLedger
from notifier.intake import Arrival, Intake
from notifier.model import Snapshot
from notifier.ports import TenantBook
from notifier.sender import IN_FLIGHT, Sender
from notifier.tables import attempts, decisions, snapshots
from shared.contracts.invoices import CauseKind, InvoiceEnrichedV1
from shared.contracts.messages import MessageChangedV1
from shared.runtime.database import create_engine
from shared.runtime.group_commit import GroupCommit
from support.builders import make_enriched
from support.notifier import ALWAYS, UNHURRIED, World, world
from support.waiting import eventually

pytestmark = pytest.mark.integration


class Killed(BaseException):
    """What is under way ends here."""


class Faulty:
    """A ledger that stumbles at ``poison``'s invoice, and dies ``before`` or ``after`` a commit once it is told to."""

    def __init__(self, inner: Any, poison: str | None = None) -> None:
        self._inner = inner
        self.poison = poison
        self.dies: str | None = None
        self.groups: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @asynccontextmanager
    async def open_all(self, tenant_ids: Collection[str], now: datetime) -> AsyncIterator[Mapping[str, TenantBook]]:
        async with self._inner.open_all(tenant_ids, now) as books:
            self.groups.append(0)
            yield {tenant_id: FaultyBook(book, self) for tenant_id, book in books.items()}
            if self.dies == "before":
                raise Killed
        if self.dies == "after":
            raise Killed


class Waiting:
    """A ledger whose lock somebody else has for so long."""

    def __init__(self, notifier: World, lasts: timedelta) -> None:
        self._notifier = notifier
        self._lasts = lasts

    @asynccontextmanager
    async def open_all(self, tenant_ids: Collection[str], now: datetime) -> AsyncIterator[Mapping[str, TenantBook]]:
        async with self._notifier.ledger.open_all(tenant_ids, now) as books:
            self._notifier.clock.now += self._lasts
            yield books


class FaultyBook:
    def __init__(self, inner: TenantBook, ledger: Faulty) -> None:
        self._inner = inner
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def history(self, snapshot: Snapshot, *arguments: Any, **named: Any) -> Any:
        self._ledger.groups[-1] += 1
        if snapshot.invoice.invoice_id == self._ledger.poison:
            raise ValueError("a row that no code expects")
        return await self._inner.history(snapshot, *arguments, **named)


def event(number: int, *, tenant: str = "t0", **invoice: Any) -> InvoiceEnrichedV1:
    return make_enriched(
        tenant_id=tenant,
        invoice={"invoice_id": f"i{number}", **invoice},
        contact={"contact_id": f"c{number}", "phone": f"+9198765{number:05}"},
    )


def taking_in(notifier: World, ledger: Any) -> GroupCommit[Arrival, Sequence[MessageChangedV1]]:
    intake = Intake(ledger, notifier.policy, clock=notifier.clock, wake=lambda: None, count=lambda _: None)
    return GroupCommit(intake.all_of, most=50)


async def all_at_once(take_in: Any, events: Sequence[InvoiceEnrichedV1]) -> list[Any]:
    return await asyncio.gather(*(take_in(Arrival(each, None)) for each in events), return_exceptions=True)


async def invoices(notifier: World, *tables: Any) -> list[set[str]]:
    return [{row.invoice_id for row in await notifier.rows(table)} for table in tables]


async def test_many_events_are_one_transaction_over_all_organisations(database_url: str) -> None:
    async with world(database_url) as notifier:
        ledger = Faulty(notifier.ledger)
        await all_at_once(taking_in(notifier, ledger), [event(number, tenant=f"t{number % 4}") for number in range(12)])
        assert ledger.groups == [12]
        assert len(await notifier.rows()) == len(await notifier.rows(decisions)) == 12


async def test_a_faulty_event_is_the_only_one_that_fails_and_leaves_nothing(database_url: str) -> None:
    async with world(database_url) as notifier:
        done = await all_at_once(
            taking_in(notifier, Faulty(notifier.ledger, "i3")),
            [event(number, tenant=f"t{number % 2}") for number in range(8)],
        )
        assert [number for number, answer in enumerate(done) if isinstance(answer, ValueError)] == [3]
        assert [answer for answer in done if not isinstance(answer, ValueError)] == [[]] * 7
        for known in await invoices(notifier, snapshots, decisions):
            assert known == {f"i{number}" for number in range(8)} - {"i3"}
        assert len(await notifier.rows()) == 7


async def test_what_was_decided_while_another_had_the_lock_was_decided_after_that_one(database_url: str) -> None:
    async with world(database_url) as notifier:
        asked = notifier.clock.now
        await all_at_once(taking_in(notifier, Waiting(notifier, timedelta(seconds=3))), [event(1)])
        assert [row.decided_at for row in await notifier.rows(decisions)] == [asked + timedelta(seconds=3)]


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_death_around_the_commit_answers_nobody_and_its_events_come_again(
    database_url: str, moment: str
) -> None:
    """Who is not answered does not acknowledge: RabbitMQ delivers again."""
    events = [event(number, tenant=f"t{number % 3}") for number in range(9)]
    async with world(database_url) as notifier:
        ledger = Faulty(notifier.ledger)
        ledger.dies = moment
        assert all(isinstance(answer, Killed) for answer in await all_at_once(taking_in(notifier, ledger), events))
        assert len(await notifier.rows()) == (0 if moment == "before" else 9)
        await all_at_once(taking_in(notifier, notifier.ledger), events)
        assert len(await notifier.rows()) == len(await notifier.rows(decisions)) == 9


async def test_the_order_of_one_invoice_is_kept_within_a_group(database_url: str) -> None:
    async with world(database_url) as notifier:
        ledger = Faulty(notifier.ledger)
        paid = make_enriched(
            tenant_id="t0",
            invoice={"invoice_id": "i1", "status": "PAID", "amount_due": 0, "amount_paid": 5000},
            contact={"contact_id": "c1"},
            cause={"kind": CauseKind.WEBHOOK, "event_type": "UPDATE"},
        )
        owed, changes = await all_at_once(taking_in(notifier, ledger), [event(1), paid])
        assert ledger.groups == [2]
        assert (owed, [change.state.value for change in changes]) == ([], ["cancelled"])
        assert await notifier.states() == ["cancelled"]


async def test_a_cap_counts_what_the_same_group_has_planned(database_url: str) -> None:
    async with world(database_url) as notifier:
        same = {"contact_id": "c1", "phone": "+919876543210"}
        events = [make_enriched(tenant_id="t0", invoice={"invoice_id": f"i{n}"}, contact=same) for n in range(5)]
        await all_at_once(taking_in(notifier, notifier.ledger), events)
        assert len(await notifier.rows()) == notifier.policy.defaults.caps.per_contact_per_week == 3


async def test_two_replicas_at_once_on_one_organisation(database_url: str) -> None:
    """Each with connections of its own, both with every event: nothing waits in a circle, nothing is there twice."""
    events = [event(number, tenant=f"t{number % 2}") for number in range(24)]
    async with world(database_url, ALWAYS) as notifier:
        other = create_engine(database_url)
        try:
            second = SqlLedger(other, UNHURRIED)
            done = await asyncio.gather(
                all_at_once(taking_in(notifier, notifier.ledger), events),
                all_at_once(taking_in(notifier, second), events[::-1]),
            )
            assert [answer for answers in done for answer in answers if answer != []] == []
            assert len(await notifier.rows()) == len(await notifier.rows(decisions)) == 24
            senders = [notifier.sender, a_sender_on(notifier, second)]
            await asyncio.gather(*(sender.run_once() for sender in senders))
        finally:
            await other.dispose()
        assert len({message.to for message, _ in notifier.provider.posts}) == len(notifier.provider.posts) == 24
        assert set(await notifier.states()) == {"accepted"}


def a_sender_on(notifier: World, ledger: Any) -> Sender:
    before, notifier.ledger = notifier.ledger, ledger
    try:
        return notifier.another_sender()
    finally:
        notifier.ledger = before


async def test_all_claims_of_a_group_are_committed_before_any_socket_opens(database_url: str) -> None:
    async with world(database_url) as notifier:
        await all_at_once(taking_in(notifier, notifier.ledger), [event(number) for number in range(6)])
        committed: list[set[str]] = []

        async def look() -> None:
            committed.append({row.reference for row in await notifier.rows(attempts)})

        notifier.provider.meanwhile = look
        await notifier.sender.run_once()
        posted = [reference for _, reference in notifier.provider.posts]
        assert all(reference in known for reference, known in zip(posted, committed, strict=True))
        assert set(await notifier.states()) == {"accepted"}


async def test_a_claim_that_fails_harms_no_other(database_url: str) -> None:
    async with world(database_url) as notifier:
        await all_at_once(taking_in(notifier, notifier.ledger), [event(number) for number in range(6)])
        sender = a_sender_on(notifier, Faulty(notifier.ledger, "i2"))
        with pytest.raises(ValueError, match="no code expects"):
            await sender.run_once()
        await notifier.sender.run_once()
        assert set(await notifier.states()) == {"accepted"}
        assert len({message.to for message, _ in notifier.provider.posts}) == len(notifier.provider.posts) == 6


async def test_what_a_death_leaves_unknown_is_bounded(database_url: str) -> None:
    async with world(database_url) as notifier:
        await all_at_once(taking_in(notifier, notifier.ledger), [event(number) for number in range(2 * IN_FLIGHT + 6)])
        before = asyncio.all_tasks()
        notifier.provider.meanwhile = asyncio.Event().wait
        sending = asyncio.create_task(notifier.sender.run_once())
        await eventually(lambda: len(notifier.provider.posts) == IN_FLIGHT, what="as many POSTs as may be at once")
        states = await notifier.states()
        for task in asyncio.all_tasks() - before:
            task.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert (states.count("sending"), set(states)) == (IN_FLIGHT, {"sending", "planned"})
