"""When missing webhooks are loss, when they are silence, and when they are neither."""

from datetime import datetime, timedelta

import pytest

from fetcher.silence import Silence, Step, announcement, verdict
from fetcher.silence_watch import SilenceWatch
from fetcher.versions import Version
from shared.contracts.base import Event
from shared.errors import PublishFailed
from unit.fetcher.samples import NOW, SteppingClock, guid
from unit.fetcher.webhook_records import FakeWebhookRecords

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def missed(*minutes_ago: float, tenant: str = "t") -> list[Version]:
    return [Version(tenant, guid(index), NOW - minutes * MINUTE) for index, minutes in enumerate(minutes_ago)]


def step(changes: list[Version], heard_at: datetime | None, standing: Silence | None = None) -> Step:
    return verdict(changes, heard_at, standing, NOW).step


def test_five_changes_in_a_row_that_nothing_told_of_are_silence() -> None:
    changes = missed(70, 60, 50, 40, 30)
    assert verdict(changes, NOW - 80 * MINUTE, None, NOW).since == NOW - 70 * MINUTE
    assert step(changes[1:], NOW - 80 * MINUTE) is Step.NOTHING


def test_one_webhook_makes_all_before_it_mere_loss() -> None:
    assert step(missed(70, 60, 50, 40, 30), NOW - 65 * MINUTE) is Step.NOTHING
    assert verdict(missed(170, 70, 60, 50, 40, 30), NOW - 75 * MINUTE, None, NOW).since == NOW - 70 * MINUTE


def test_any_share_of_loss_is_loss_while_webhooks_come() -> None:
    assert step(missed(*range(600, 30, -1)), NOW - 31 * MINUTE) is Step.NOTHING


def test_one_act_in_bulk_is_no_evidence() -> None:
    assert step(missed(*[30.0] * 200, 29), NOW - HOUR) is Step.NOTHING


def test_a_quiet_installation_is_given_a_week() -> None:
    week = 7 * 24 * 60
    assert step(missed(week - 1, 5000, 4000, 2000, 100), NOW - 200 * HOUR) is Step.ANNOUNCE
    assert step(missed(week, 5000, 4000, 2000, 100), NOW - 200 * HOUR) is Step.NOTHING
    assert step([], NOW - 200 * HOUR) is Step.NOTHING


def test_an_installation_that_never_heard_any_is_told_too() -> None:
    assert step(missed(70, 60, 50, 40, 30), None) is Step.ANNOUNCE


@pytest.mark.parametrize(("hours", "expected"), [(23.9, Step.NOTHING), (24, Step.ANNOUNCE)])
def test_a_silence_is_told_again_every_day_though_nothing_changes(hours: float, expected: Step) -> None:
    assert step([], NOW - 40 * HOUR, Silence(NOW - 30 * HOUR, NOW - hours * HOUR)) is expected


def test_a_silence_ends_with_the_first_webhook() -> None:
    standing = Silence(NOW - 3 * HOUR, NOW - 2 * HOUR)
    assert step(missed(70, 60, 50, 40, 30), NOW - MINUTE, standing) is Step.END
    assert step(missed(70, 60, 50, 40, 30), NOW - 4 * HOUR, standing) is Step.NOTHING


def test_what_is_told_says_how_much_since_when_and_what_to_do() -> None:
    changes = [*missed(170, 70, 60), *missed(50, tenant="u")]
    told = announcement(changes, NOW - 80 * MINUTE, NOW - 70 * MINUTE, NOW)
    assert (told.changes, told.tenants, told.since) == (3, 2, NOW - 70 * MINUTE)
    assert told.until - told.announced_at > timedelta(hours=24)
    assert "Send intent to receive" in told.remedy


class Watching:
    def __init__(self) -> None:
        self.records, self.clock = FakeWebhookRecords(), SteppingClock()
        self.told: list[Event] = []
        self.failing = False
        self.records.lost = dict.fromkeys(missed(70, 60, 50, 40, 30))
        self.look = SilenceWatch(self.records, self._announce, self.clock)

    async def _announce(self, event: Event) -> None:
        if self.failing:
            raise PublishFailed("publish_unconfirmed")
        self.told.append(event)


async def test_a_silence_is_announced_once_and_its_end_noticed_once() -> None:
    rig = Watching()
    first, second = await rig.look(), await rig.look()
    assert (len(rig.told), first.silent, second.silent, second.announced) == (1, True, True, None)
    await rig.records.hear(NOW)
    ends = [await rig.look(), await rig.look()]
    assert ([end.ended for end in ends], ends[1].silent) == ([True, False], False)


async def test_what_could_not_be_published_is_announced_by_a_later_look() -> None:
    rig = Watching()
    rig.failing = True
    with pytest.raises(PublishFailed):
        await rig.look()
    rig.failing = False
    assert (await rig.look()).announced is not None


async def test_another_replica_that_is_announcing_is_left_to_it() -> None:
    rig = Watching()
    rig.records.free_to_announce = False
    assert ((await rig.look()).announced, rig.told) == (None, [])
