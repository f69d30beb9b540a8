"""When a person may be written to: in that person's zone, on working days, whatever the clocks do."""

from collections.abc import Container, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from importlib.resources import files

import holidays
import phonenumbers
from phonenumbers import timezone as phone_zones

from notifier.stages import zone_of
from shared.policy import ContactHours

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FARTHEST_DAYS = 400
_PATIENCE = timedelta(days=14)


def recipient_zones(phone: str, organisation_zone: str, organisation_country: str, now: datetime) -> tuple[tzinfo, ...]:
    """The zones that the person of an E.164 number may be in, westernmost first.

    One when the number tells it, or all that it may mean show the same time now. When they do not, the organisation's
    zone for a customer in its own country, else all of them. The organisation's when nothing is known.
    """
    home = zone_of(organisation_zone)
    zones = [zone_of(name) for name in _zone_names(phone)]
    if not zones:
        return (home,)
    zones.sort(key=lambda zone: now.astimezone(zone).utcoffset() or timedelta())
    if now.astimezone(zones[0]).utcoffset() == now.astimezone(zones[-1]).utcoffset():
        return (zones[0],)
    neighbour = home in zones or recipient_country(phone) == organisation_country
    return (home,) if neighbour else tuple(zones)


@lru_cache(maxsize=4096)
def _zone_names(phone: str) -> tuple[str, ...]:
    names = phone_zones.time_zones_for_number(phonenumbers.parse(phone))
    country = recipient_country(phone)
    # Numbers of a country may be used on islands that are a country of their own, far away and with few people.
    return tuple(
        name for name in names if name != phone_zones.UNKNOWN_TIMEZONE and _countries().get(name, country) == country
    )


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, str]:
    """Zone → the ISO 3166 code of its country, as the zones' own database says; aliases are not in it."""
    table = (files("tzdata.zoneinfo") / "zone.tab").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in table.splitlines() if not line.startswith("#")]
    return {row[2]: row[0] for row in rows}


@lru_cache(maxsize=4096)
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


def shared_contact_moment(
    now: datetime, zones: Sequence[tzinfo], hours: ContactHours, holiday_calendar: Container[date]
) -> datetime:
    """The next moment inside the hours in every one of ``zones``; in UTC.

    Where a country is so wide that its days hardly meet, the middle zone's.
    """
    moment = now.astimezone(UTC)
    while moment <= now + _PATIENCE:
        latest = max(next_contact_moment(moment, zone, hours, holiday_calendar) for zone in zones)
        if latest == moment:
            return moment
        moment = latest
    return next_contact_moment(now, zones[len(zones) // 2], hours, holiday_calendar)


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
    if not hours.holidays:
        raise ValueError("no contact hours within a year")
    # Some calendars call every Sunday a holiday: for who writes on Sundays only, the days of the week decide alone.
    return next_contact_moment(now, zone, hours.model_copy(update={"holidays": False}), holiday_calendar)
