"""A day of 1,000 calls, spent by nine in the morning: who yields, what waits, and that nothing due is missed."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import fetcher
import scheduler
from fetcher.adapters.limiter import tenant_key
from fetcher.purposes import Purpose, kept_from
from notifier.answers import why
from sandbox.books import Invoice
from shared.contracts import InvoiceLookRequestedV1, ScanRequestedV1, XeroEventReceivedV1
from shared.contracts.messages import MessageKind
from shared.contracts.scans import ScanKind
from support.moved_time import ASKS_REDIS
from support.sizes import rounds
from support.starter_day import BEGIN, INDIA, PER_DAY, TENANT, TODAY, StarterDay, starter_day

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

NEW_DAY = BEGIN + timedelta(days=1)
BY_THE_NEXT_POLL = timedelta(minutes=75)
WAVE = 960
"""Calls that a wave of webhooks asks for: as many as events may have of a day."""
STAGES = {-3: -3, -1: 0, 0: 0, 1: None, 3: 3, 7: 7, 14: 14, 30: 30}
"""Days past due on the spent day → the stage of the reminder that leaves after it; None where that is too late."""


@pytest.fixture
async def day(redis_url: str, tmp_path: Path) -> AsyncIterator[StarterDay]:
    async with starter_day(redis_url, tmp_path) as day:
        yield day


def local(hour: int, minute: int = 0, *, days: int = 0) -> datetime:
    return datetime(TODAY.year, TODAY.month, TODAY.day + days, hour, minute, tzinfo=INDIA)


def owed(day: StarterDay) -> list[tuple[Invoice, int]]:
    """Open invoices with the days that each is past due, which is a reminder's day for all but the late."""
    lates = [late for late in STAGES for _ in range(rounds(5, 2))]
    before = TODAY - timedelta(days=40)
    return [
        (day.issue(TODAY - timedelta(days=late), number=number, issued_on=before), late)
        for number, late in enumerate(lates)
    ]


async def wave(day: StarterDay, known: list[tuple[Invoice, int]]) -> list[Invoice]:
    """Webhooks from two until half past eight, one call each; the new invoices among them."""
    ours = rounds(WAVE, 96)
    issued = []
    for number in range(ours):
        at = local(2) + timedelta(hours=6.5) * number / ours
        await day.until(at)
        if number % (ours // 12):
            day.webhook(known[number % len(known)][0], at)
        else:
            issued.append(issue(day, 100 + number))
            day.webhook(issued[-1], at, "CREATE")
        # In the short size each stands for ten: the others are another program's, which Xero counts all the same.
        day.spend(WAVE // ours - 1)
    await day.until(local(8, 40))
    return issued


async def trickle(day: StarterDay) -> list[Invoice]:
    """An hour of new invoices, some of which no webhook tells of."""
    issued = []
    for number in range(12):
        at = local(8, 40) + timedelta(minutes=5) * number
        await day.until(at)
        issued.append(issue(day, 5000 + number))
        if number % 3:
            day.webhook(issued[-1], at, "CREATE")
    return issued


def issue(day: StarterDay, number: int) -> Invoice:
    return day.issue(TODAY + timedelta(days=20), number=number, issued_on=TODAY)


def unknown(day: StarterDay, invoices: list[Invoice]) -> list[Invoice]:
    return [invoice for invoice in invoices if (invoice.invoice_id, invoice.updated) not in day.found]


async def parked_until(day: StarterDay) -> datetime:
    return day.time() + timedelta(milliseconds=await day.time.redis.pttl(tenant_key(TENANT, "hold")))


def scans_waiting(day: StarterDay) -> set[ScanKind]:
    return {message.body.kind for message in day.waiting() if isinstance(message.body, ScanRequestedV1)}


async def assert_nothing_was_missed(
    day: StarterDay, known: list[tuple[Invoice, int]], issued: list[Invoice], rest: list[Invoice]
) -> None:
    """By an hour after the new day began everything is known, by noon everything due has left or is said to be late."""
    await day.until(NEW_DAY + BY_THE_NEXT_POLL)
    assert unknown(day, [*issued, *rest]) == []
    assert day.waiting() == []
    await day.until(local(12, days=1))
    told = await why(day.notifier.engine, TENANT)
    answers = {(answer.invoice_id, answer.kind, answer.stage): answer for answer in told}
    for invoice, late in known:
        stage = STAGES[late]
        answer = answers[invoice.invoice_id, MessageKind.REMINDER, late - 1 if stage is None else stage]
        assert (answer.rule if stage is None else answer.state) == ("too_late" if stage is None else "accepted")
    for invoice in [*issued, *rest]:
        assert answers[invoice.invoice_id, MessageKind.ISSUED, None].state == "accepted"
    assert (day.most_attempts, day.buried) == (0, [])


async def test_sweeps_thin_out_and_yield_and_the_reserve_lasts(day: StarterDay) -> None:
    known = owed(day)
    issued = await wave(day, known)
    polls = [day.made(local(hour), local(hour + 1), Purpose.SWEEP, "changes") for hour in range(2, 9)]
    # With more than half of the day left every hour, then two hours after the last, then four; none of the last tenth.
    assert polls == [1, 1, 1, 1, 0, 0, 0]
    assert day.figure("duebell_fetcher_put_off_reconciles_total", tier="starter") == 3
    reserve = PER_DAY - day.spent()
    assert 0 < reserve <= kept_from(Purpose.EVENT, PER_DAY)

    rest = await trickle(day)
    looks = day.made(local(9), local(9, 30), Purpose.LOOK)
    assert 1 <= looks <= 4
    assert len(day.notifier.provider.posts) == len(issued)
    assert scans_waiting(day) == {ScanKind.RECEIVABLES}
    assert len(unknown(day, rest)) == len(rest)

    await day.until(NEW_DAY - timedelta(minutes=1))
    tests = sum(day.made(local(9), NEW_DAY, purpose) for purpose in (Purpose.SWEEP, Purpose.EVENT))
    # One call an hour, which keeps hearing that the day is the same.
    assert 14 <= tests <= 18
    assert 0 < PER_DAY - day.spent() < reserve
    assert day.waiting(XeroEventReceivedV1)
    await assert_nothing_was_missed(day, known, issued, rest)
    assert (day.refused, day.parked) == (0, [])
    assert not day.xero.journal.breaches


async def test_a_day_spent_to_the_last_parks_the_tenant_until_the_time_xero_gave(day: StarterDay) -> None:
    known = owed(day)
    issued = await wave(day, known)
    day.spend(PER_DAY - day.spent())
    cursor = await day.cursors.find(TENANT)
    rest = await trickle(day)
    await day.until(local(14))
    assert day.refused == len(day.parked) == day.figure("duebell_fetcher_holds_total", limit="day", tier="starter") == 1
    assert abs(await parked_until(day) - NEW_DAY) < timedelta(minutes=5)
    assert (await day.limiter.day_left(TENANT)).calls == 0
    assert await day.cursors.find(TENANT) == cursor
    assert day.notifier.provider.posts == []
    assert {message.reason for message in day.waiting()} == {"tenant_parked"}
    assert day.waiting(InvoiceLookRequestedV1)
    assert day.waiting(XeroEventReceivedV1)
    assert scans_waiting(day) == {ScanKind.RECEIVABLES}

    await day.time.flush()
    await day.until(local(17))
    # One question, and Xero says again until when.
    assert day.refused == len(day.parked) == 2
    assert abs(await parked_until(day) - NEW_DAY) < timedelta(minutes=5)
    await assert_nothing_was_missed(day, known, issued, rest)
    assert day.refused == 2
    assert not any(local(8, 40) <= at < NEW_DAY for at, _, _ in day.calls)


async def test_a_quiet_tenant_hears_of_its_new_day_by_its_polls(day: StarterDay) -> None:
    [(invoice, _), *_] = owed(day)
    await day.until(local(10))
    day.spend(PER_DAY - day.spent() - kept_from(Purpose.SWEEP, PER_DAY))
    day.webhook(invoice, local(10))
    await day.until(local(11))
    late = issue(day, 100)
    # The daily scan is over, and nobody else calls: one poll an hour hears that the day is the same.
    await day.until(local(23))
    hours = [day.made(local(hour), local(hour + 1), Purpose.SWEEP) for hour in range(11, 23)]
    assert hours == [1] * len(hours)
    await day.until(NEW_DAY + BY_THE_NEXT_POLL)
    assert day.made(NEW_DAY, NEW_DAY + BY_THE_NEXT_POLL, Purpose.SWEEP, "changes") == 1
    assert unknown(day, [late]) == []
    assert (await day.limiter.day_left(TENANT)).calls > PER_DAY // 2
    assert not day.xero.journal.breaches


def test_redis_is_asked_for_the_time_in_one_place_of_each_service(day: StarterDay) -> None:
    assert [script.count(ASKS_REDIS) for script in day.time.redis.moved] == [1] * 6
    for service in (fetcher, scheduler):
        sources = [path.read_text() for path in Path(*service.__path__).rglob("*.py")]
        assert sum(source.count(ASKS_REDIS) for source in sources) == 1
