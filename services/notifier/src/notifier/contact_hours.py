"""When a person may be written to: in that person's zone, on working days, whatever the clocks do."""

from collections.abc import Container
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

import holidays
import phonenumbers
from phonenumbers import timezone as phone_zones

from notifier.stages import zone_of
from shared.policy import ContactHours

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FARTHEST_DAYS = 400


def recipient_zone(phone: str, organisation_zone: str, now: datetime) -> tzinfo:
    """The zone of an E.164 number.

    When its country spans several: the one clock they share now, else the organisation's zone if it is among them,
    else the middle one, which is never far from the person's own. The organisation's when nothing is known.
    """
    names = phone_zones.time_zones_for_number(phonenumbers.parse(phone))
    zones = [zone_of(name) for name in names if name != phone_zones.UNKNOWN_TIMEZONE]
    home = zone_of(organisation_zone)
    if not zones:
        return home
    zones.sort(key=lambda zone: now.astimezone(zone).utcoffset() or timedelta())
    shared_clock = now.astimezone(zones[0]).utcoffset() == now.astimezone(zones[-1]).utcoffset()
    return home if home in zones and not shared_clock else zones[len(zones) // 2]


def recipient_country(phone: str) -> str | None:
    """The ISO 3166 code of an E.164 number's country."""
    region = phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    return region if region and region.isalpha() else None


@lru_cache(maxsize=256)
def public_holidays(country: str | None) -> Container[date]:
    """The country's public holidays, in any year; empty for a country without a calendar."""
    if country is None:
        return frozenset()
    try:
        return holidays.country_holidays(country)
    except NotImplementedError:
        return frozenset()


def next_contact_moment(
    now: datetime, zone: tzinfo, hours: ContactHours, holiday_calendar: Container[date]
) -> datetime:
    """``now`` when it lies inside the hours, else the start of the next hours; in UTC.

    The judge is the clock on the recipient's wall: a window that a change of clocks skips does not exist that day.
    """

    def open_at(moment: datetime) -> bool:
        wall = moment.astimezone(zone)
        return (
            _WEEK[wall.weekday()] in hours.days
            and hours.start <= wall.hour * 60 + wall.minute < hours.end
            and not (hours.holidays and wall.date() in holiday_calendar)
        )

    if open_at(now):
        return now.astimezone(UTC)
    today = now.astimezone(zone).date()
    opening = time(*divmod(hours.start, 60))
    for ahead in range(_FARTHEST_DAYS):
        day = today + timedelta(days=ahead)
        # When clocks go back an opening hour comes twice; fold tells the second one.
        for fold in (0, 1):
            moment = datetime.combine(day, opening.replace(fold=fold), tzinfo=zone).astimezone(UTC)
            if moment >= now and open_at(moment):
                return moment
    raise ValueError("no contact hours within a year")
