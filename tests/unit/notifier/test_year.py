"""A simulated year: no cap, hour, day or payment is ever disregarded, and the judge would notice if one were."""

import zoneinfo
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from notifier import decide, judge, last_look, still_wanted
from notifier.contact_hours import next_contact_moment
from notifier.model import Decision, History, Intent, Snapshot, Verdict
from notifier.stages import latest_stage, zone_of
from shared.policy import Caps, Stage
from support.sizes import in_full, rounds
from support.year import Year
from support.year_books import COUNTRY_OF_ZONE, START, organisation
from support.year_checker import breaches

BATCHES = 8
DAYS = rounds(365, 75)
OFTEN = sorted(COUNTRY_OF_ZONE)


@lru_cache(maxsize=1)
def zones() -> list[str]:
    """All zones: first those whose people we know, then one of each kind of clock there is, then the others."""
    named = sorted(name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith("Etc"))
    mixed = Random(7).sample(named, len(named))
    kinds = {
        tuple((START + timedelta(weeks=w)).astimezone(ZoneInfo(n)).utcoffset() for w in range(53)): n for n in mixed
    }
    return list(dict.fromkeys([*OFTEN, *kinds.values(), *mixed]))


async def play(number: int, zone: str, days: int) -> Year:
    rng = Random(f"{number} {zone}")
    year = Year(organisation(rng, number, zone, days), days, number)
    await year.play()
    return year


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("batch", range(BATCHES) if in_full() else [0])
async def test_a_year_of_reminders_breaks_no_promise(batch: int) -> None:
    """200 organisations in the full size, in all kinds of clocks."""
    names, found, left, rules = zones(), Counter[str](), Counter[str](), Counter[str]()
    statements: list[int] = []
    for number in range(batch, rounds(200, 8 * BATCHES), BATCHES):
        year = await play(number, names[number], DAYS)
        found += breaches(year.organisation, year.posts)
        left.update(post.kind for post in year.posts)
        rules += year.book.rules
        statements += [len(post.accounts) for post in year.posts if len(post.accounts) > 1]
    assert found == {}
    assert left["reminder"] > 50
    assert len(statements) > 5
    assert max(statements) > 2
    assert min(left["issued"], left["paid"]) > 5
    for rule in ("weekly_cap", "promised", "reminded_today", "too_late", "excluded_group", "below_minimum"):
        assert rules[rule] > 0, rule


def shifted(stages: Sequence[Stage], days_past_due: int) -> Stage | None:
    return latest_stage(stages, days_past_due + 1)


def loose(caps: Caps, history: History) -> str | None:
    if history.reminders_this_week > caps.per_contact_per_week:
        return "weekly_cap"
    return "monthly_cap" if history.reminders_this_month >= caps.per_contact_per_month else None


def loose_month(caps: Caps, history: History) -> str | None:
    if history.reminders_this_week >= caps.per_contact_per_week:
        return "weekly_cap"
    return "monthly_cap" if history.reminders_this_month > caps.per_contact_per_month else None


def at_the_sellers(snapshot: Snapshot, rules: Any, now: Any) -> Any:
    return next_contact_moment(now, zone_of(snapshot.organisation.time_zone), rules.contact_hours, frozenset())


def on_holidays(country: str | None) -> frozenset[Any]:
    return frozenset()


def blind_to_payment(invoice: Any) -> str | None:
    return None if invoice.status in {"PAID", "AUTHORISED"} else "voided"


def any_group(contact: Any, rules: Any) -> str | None:
    return "excluded" if judge._among(rules.exclude_contacts, contact.contact_id, contact.name) else None


def nothing_promised(snapshot: Any, rules: Any, now: Any, history: History) -> str | None:
    unreachable = judge.why_not_reachable(snapshot.contact, rules, opted_out=history.opted_out)
    again = "reminded_today" if judge.reminded_today(snapshot, now, history) else None
    return unreachable or again or judge.why_capped(rules.caps, history)


def no_second_thought(intent: Intent, snapshot: Any, rules: Any, now: datetime, history: Any) -> Decision:
    return Decision(intent.kind, intent.stage, Verdict.SEND, "due", now)


BUGS: dict[str, tuple[list[tuple[Any, str, Any]], str]] = {
    "a day too early": ([(decide, "latest_stage", shifted), (still_wanted, "latest_stage", shifted)], "wrong_day"),
    "never too late": (
        [(decide, "too_late", lambda *_: False), (still_wanted, "too_late", lambda *_: False)],
        "wrong_day",
    ),
    "one more a week": ([(judge, "why_capped", loose)], "week_cap"),
    "one more a month": ([(judge, "why_capped", loose_month)], "month_cap"),
    "two stages on a day": ([(judge, "reminded_today", lambda *_: False)], "two_stages_on_a_day"),
    "the seller's clock": ([(judge, "contact_moment", at_the_sellers)], "out_of_hours"),
    "no holidays": ([(judge, "public_holidays", on_holidays)], "out_of_hours"),
    "blind to payment": ([(judge, "why_not_owed", blind_to_payment)], "paid_invoice"),
    "blind to groups": ([(judge, "why_excluded", any_group)], "excluded_group"),
    "promises forgotten": ([(judge, "why_not_reminded", nothing_promised)], "promised"),
    "no minimum": ([(judge, "below_minimum", lambda *_: False)], "below_minimum"),
    "no last look": ([(last_look, "still_wanted", no_second_thought)], "wrong_day"),
}


SEEN_LATE = {"two stages on a day": 16, "blind to payment": 7}
"""Where to begin, lest organisations be played in which the mistake does no harm."""


@pytest.mark.parametrize("bug", BUGS)
async def test_the_judge_notices(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patches, breach = BUGS[bug]
    for module, name, wrong in patches:
        monkeypatch.setattr(module, name, wrong)
    names = zones()
    for number in range(SEEN_LATE.get(bug, 0), 40):
        year = await play(number, names[number], 60)
        if breaches(year.organisation, year.posts)[breach]:
            return
    pytest.fail(f"nobody noticed: {bug}")


async def test_the_judge_notices_a_cap_by_contact_instead_of_by_person() -> None:
    names = zones()
    for number in range(40):
        rng = Random(f"{number} {names[number]}")
        year = Year(organisation(rng, number, names[number], 60), 40, number)
        year.book.same_person = lambda intent, snapshot: intent.contact_id == snapshot.contact.contact_id
        await year.play()
        if breaches(year.organisation, year.posts)["week_cap"]:
            return
    pytest.fail("nobody noticed")
