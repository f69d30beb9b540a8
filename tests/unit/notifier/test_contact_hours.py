"""When a person may be written to, in all zones and across changes of clocks."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from notifier.contact_hours import (
    next_contact_moment,
    public_holidays,
    recipient_country,
    recipient_zones,
    shared_contact_moment,
)
from shared.policy import ContactHours

KOLKATA = ZoneInfo("Asia/Kolkata")
LONDON = ZoneInfo("Europe/London")
NEW_YORK = ZoneInfo("America/New_York")
HOURS = ContactHours()
ALWAYS = ContactHours.model_validate(
    {"start": "00:00", "end": "24:00", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "holidays": False}
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        ("2026-06-23T08:59:59+05:30", "2026-06-23T09:00+05:30"),
        ("2026-06-23T09:00:00+05:30", "2026-06-23T09:00+05:30"),
        ("2026-06-23T18:59:59+05:30", "2026-06-23T18:59:59+05:30"),
        ("2026-06-23T19:00:00+05:30", "2026-06-24T09:00+05:30"),
        ("2026-06-20T19:00:00+05:30", "2026-06-22T09:00+05:30"),  # Saturday evening: Sunday is free
        ("2026-06-21T12:00:00+05:30", "2026-06-22T09:00+05:30"),
    ],
)
def test_hours_and_days_in_india(now: str, moment: str) -> None:
    assert next_contact_moment(utc(now), KOLKATA, HOURS, frozenset()) == utc(moment)


def test_a_holiday_is_left_out_when_the_policy_says_so() -> None:
    republic_day = utc("2026-01-26T10:00+05:30")
    calendar = public_holidays("IN")
    assert next_contact_moment(republic_day, KOLKATA, HOURS, calendar) == utc("2026-01-27T09:00+05:30")
    working = HOURS.model_copy(update={"holidays": False})
    assert next_contact_moment(republic_day, KOLKATA, working, calendar) == republic_day


def test_always_is_always() -> None:
    for text in ("2026-12-25T23:59:59+00:00", "2026-03-29T01:30+00:00", "2026-10-25T00:30+00:00"):
        assert next_contact_moment(utc(text), LONDON, ALWAYS, public_holidays("GB")) == utc(text)


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        ("2026-03-28T20:00+00:00", "2026-03-30T09:00+01:00"),  # London springs forward on the 29th, a Sunday
        ("2026-10-24T20:00+01:00", "2026-10-26T09:00+00:00"),
    ],
)
def test_nine_is_nine_on_the_wall_after_the_clocks_change(now: str, moment: str) -> None:
    assert next_contact_moment(utc(now), LONDON, HOURS, frozenset()) == utc(moment)


def window(start: str, end: str) -> ContactHours:
    return ALWAYS.model_validate(ALWAYS.model_dump() | {"start": start, "end": end})


def test_an_opening_that_the_clocks_skip_opens_at_the_first_moment_after() -> None:
    # New York has no 02:00-03:00 on 2026-03-08.
    now = utc("2026-03-08T01:00-05:00")
    assert next_contact_moment(now, NEW_YORK, window("02:00", "19:00"), frozenset()) == utc("2026-03-08T03:00-04:00")


def test_a_window_that_the_clocks_skip_whole_does_not_exist_that_day() -> None:
    now = utc("2026-03-08T01:00-05:00")
    assert next_contact_moment(now, NEW_YORK, window("02:10", "02:50"), frozenset()) == utc("2026-03-09T02:10-04:00")


def test_an_hour_that_comes_twice_opens_twice() -> None:
    # On 2026-11-01 New York has 01:00-02:00 twice.
    hours = window("01:00", "01:30")
    first_over = utc("2026-11-01T01:40-04:00")
    assert next_contact_moment(first_over, NEW_YORK, hours, frozenset()) == utc("2026-11-01T01:00-05:00")


def test_the_zone_of_a_number() -> None:
    winter = utc("2026-01-10T12:00+00:00")

    def clocks(phone: str, zone: str, country: str) -> list[float]:
        return [
            (winter.astimezone(zone).utcoffset() or timedelta()) / timedelta(hours=1)
            for zone in recipient_zones(phone, zone, country, winter)
        ]

    assert clocks("+919876543210", "Pacific/Auckland", "NZ") == [5.5]
    assert clocks("+12125550123", "Asia/Kolkata", "IN") == [-5]  # the area says New York
    assert clocks("+447911123456", "Asia/Kolkata", "IN") == [0]  # several zones, one clock
    assert clocks("+88213300655", "Asia/Kolkata", "IN") == [5.5]  # a satellite telephone
    # Australia has several: the organisation's own for its neighbours, all of them for a stranger's customer.
    assert recipient_zones("+61412345678", "Australia/Perth", "AU", winter) == (ZoneInfo("Australia/Perth"),)
    assert recipient_zones("+61412345678", "Australia/Melbourne", "AU", winter) == (ZoneInfo("Australia/Melbourne"),)
    assert {8, 10, 11} < set(clocks("+61412345678", "Asia/Kolkata", "IN"))
    # Islands that share a country's numbers and are not of it: their far clocks close Sydney's afternoon.
    assert not {6.5, 7} & set(clocks("+61412345678", "Asia/Kolkata", "IN"))


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        ("2026-01-12T09:00+08:00", "2026-01-12T09:00+08:00"),  # nine in Perth, noon in Sydney
        ("2026-01-12T08:59+08:00", "2026-01-12T09:00+08:00"),
        ("2026-01-12T19:00+11:00", "2026-01-13T09:00+08:00"),  # seven in Sydney, four in Perth
        ("2026-01-17T19:00+11:00", "2026-01-19T09:00+08:00"),
    ],
)
def test_a_person_who_may_be_anywhere_in_a_country_is_written_to_when_it_is_day_in_all_of_it(
    now: str, moment: str
) -> None:
    zones = (ZoneInfo("Australia/Perth"), ZoneInfo("Australia/Adelaide"), ZoneInfo("Australia/Sydney"))
    assert shared_contact_moment(utc(now), zones, HOURS, frozenset()) == utc(moment)


def test_where_the_days_of_a_country_hardly_meet_the_middle_decides() -> None:
    zones = (ZoneInfo("Europe/Kaliningrad"), ZoneInfo("Asia/Krasnoyarsk"), ZoneInfo("Asia/Kamchatka"))
    assert shared_contact_moment(utc("2026-01-13T00:00+00:00"), zones, HOURS, frozenset()) == utc(
        "2026-01-13T09:00+07:00"
    )


def test_a_calendar_that_closes_every_open_day_is_left_aside() -> None:
    sundays = HOURS.model_copy(update={"days": ("sun",)})
    every_sunday = {date(2026, 1, 4) + timedelta(weeks=week) for week in range(100)}
    assert next_contact_moment(utc("2026-01-04T08:00+00:00"), LONDON, sundays, every_sunday) == utc(
        "2026-01-04T09:00+00:00"
    )


def test_the_country_of_a_number_and_its_calendar() -> None:
    assert recipient_country("+919876543210") == "IN"
    assert date(2026, 1, 26) in public_holidays("IN")
    assert date(2026, 1, 26) not in public_holidays("ZZ")
    assert date(2026, 1, 26) not in public_holidays(None)
