"""Which versions count as found by a poll alone, and which do not."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from fetcher.arrivals import MOST_NOTES, Arrivals
from fetcher.mapping import invoice_row
from fetcher.poll_account import PollAccount
from fetcher.ports import InvoiceRow
from fetcher.versions import LONGEST_PAUSE, Account, Heard, Version, judged_from, unheard
from shared.errors import RetryableError
from support.builders import make_enriched, make_xero_event
from unit.fetcher.samples import NOW, TENANT, SteppingClock, guid, invoice_json
from unit.fetcher.webhook_records import FakeWebhookRecords

MINUTE = timedelta(minutes=1)
FIRST, SECOND = Version(TENANT, guid(1), NOW), Version(TENANT, guid(1), NOW + 5 * MINUTE)


@pytest.mark.parametrize(
    ("heard", "left"),
    [
        (Heard(), [FIRST, SECOND]),
        (Heard(read=frozenset({FIRST})), [SECOND]),
        (Heard(read=frozenset({SECOND})), [FIRST]),
        (Heard(told={(TENANT, guid(1)): NOW - MINUTE}), [SECOND]),
        (Heard(told={(TENANT, guid(1)): NOW - 2 * MINUTE}), [FIRST, SECOND]),
        (Heard(told={(TENANT, guid(2)): NOW, ("other", guid(1)): NOW}), [FIRST, SECOND]),
    ],
    ids=["nothing", "first read", "second read", "told of the first", "told of one before", "told of others"],
)
def test_a_version_is_heard_when_it_was_read_or_told_of(heard: Heard, left: list[Version]) -> None:
    assert unheard([FIRST, SECOND], heard) == left


@pytest.mark.parametrize(
    ("account", "catching_up", "evidence"),
    [
        (None, False, False),
        (Account(NOW - 9 * MINUTE, NOW - MINUTE), True, False),
        (Account(NOW - 9 * MINUTE, NOW - LONGEST_PAUSE - MINUTE), False, False),
        (Account(NOW - 9 * MINUTE, NOW - LONGEST_PAUSE), False, True),
    ],
    ids=["first, or Redis was emptied", "catching up", "after a pause", "an ordinary one"],
)
def test_only_an_ordinary_poll_is_evidence(account: Account | None, catching_up: bool, evidence: bool) -> None:
    assert judged_from(account, NOW, catching_up=catching_up) == (NOW - 9 * MINUTE if evidence else None)


class Polling:
    def __init__(self) -> None:
        self.records, self.clock = FakeWebhookRecords(), SteppingClock()
        self.lost: list[int] = []
        self.account = PollAccount(self.records, self.clock, self.lost.append)

    async def settled(self, minutes: float) -> int:
        self.clock.advance(60 * minutes)
        await self.account.settle()
        return sum(self.lost)


def rows(*minutes: float) -> Sequence[InvoiceRow]:
    """One invoice each, changed so many minutes after noon."""
    return [invoice_row(invoice_json(n, updated=NOW + minute * MINUTE)) for n, minute in enumerate(minutes)]


async def test_what_a_poll_finds_is_lost_when_nothing_is_heard_for_twenty_minutes() -> None:
    rig = Polling()
    await rig.account.found(TENANT, rows(-20, -10, 0), NOW - 10 * MINUTE)
    assert (await rig.settled(19), await rig.settled(1), await rig.settled(60)) == (0, 2, 2)


async def test_a_webhook_that_comes_late_is_not_lost() -> None:
    rig = Polling()
    await rig.account.found(TENANT, rows(0, 0), NOW)
    await rig.records.note(TENANT, {guid(1): NOW}, [])
    assert await rig.settled(20) == 1


async def test_polls_that_overlap_count_a_version_once() -> None:
    rig = Polling()
    for _ in range(3):
        await rig.account.found(TENANT, rows(0), NOW)
        assert await rig.settled(20) == 1


async def test_two_replicas_count_a_version_once() -> None:
    rig = Polling()
    other = PollAccount(rig.records, rig.clock, rig.lost.append)
    await rig.account.found(TENANT, rows(0, 1), NOW)
    rig.clock.advance(60 * 20)
    await rig.account.settle()
    await other.settle()
    assert sum(rig.lost) == 2


async def test_arrivals_are_written_down_together_and_counted_once() -> None:
    records, counted = FakeWebhookRecords(), list[int]()
    arrivals = Arrivals(records, counted.append)
    enriched = make_enriched(tenant_id=TENANT, invoice={"invoice_id": guid(1), "updated_at": NOW})
    for _ in range(2):
        arrivals.received(make_xero_event(tenant_id=TENANT, resource_id=guid(1), received_at=NOW, event_at=NOW))
        arrivals.led_to(enriched)
        await arrivals.flush()
    assert (records.read, records.told, records.last_heard) == ({FIRST}, {(TENANT, guid(1)): NOW}, NOW)
    assert sum(counted) == 1


async def test_a_contact_s_webhook_is_no_sign_that_those_of_invoices_come() -> None:
    records = FakeWebhookRecords()
    arrivals = Arrivals(records, lambda _: None)
    arrivals.received(make_xero_event(category="CONTACT", received_at=NOW))
    await arrivals.flush()
    assert (records.last_heard, records.told) == (None, {})


async def test_notes_outlast_a_redis_that_is_away_within_bounds() -> None:
    records = FakeWebhookRecords()
    arrivals = Arrivals(records, lambda _: None)
    arrivals.received(make_xero_event(tenant_id=TENANT, resource_id=guid(0), received_at=NOW, event_at=NOW))
    records.failing = True
    with pytest.raises(RetryableError):
        await arrivals.flush()
    for number in range(MOST_NOTES + 10):
        arrivals.received(make_xero_event(tenant_id=TENANT, resource_id=guid(number), received_at=NOW))
    records.failing = False
    await arrivals.flush()
    assert len(records.told) == MOST_NOTES
