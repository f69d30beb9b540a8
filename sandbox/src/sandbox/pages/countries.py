"""The countries the page offers, with what belongs to each, and the local day and time there."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from sandbox.book import NUMBERING


@dataclass(frozen=True, slots=True)
class Country:
    """Its name, Xero's name for its time zone, the IANA name and the currency."""

    name: str
    timezone: str
    zone: str
    currency: str


COUNTRIES = {
    "IN": Country("India", "INDIASTANDARDTIME", "Asia/Kolkata", "INR"),
    "AU": Country("Australia", "AUSEASTERNSTANDARDTIME", "Australia/Sydney", "AUD"),
    "GB": Country("United Kingdom", "GMTSTANDARDTIME", "Europe/London", "GBP"),
    "NZ": Country("New Zealand", "NEWZEALANDSTANDARDTIME", "Pacific/Auckland", "NZD"),
}
LEAST_DIGITS = 7


def local_day(now: datetime, timezone: str, country: str) -> date:
    """The calendar day `now` for an organisation; UTC's where neither time zone nor country is known."""
    known = next((row.zone for row in COUNTRIES.values() if row.timezone == timezone), None)
    zone = known or (COUNTRIES[country].zone if country in COUNTRIES else None)
    return now.astimezone(ZoneInfo(zone) if zone else UTC).date()


def local_time(at: datetime, number: str) -> str:
    """Day and time where the number (in +E.164) is from; UTC, and said so, for another country."""
    for code, plan in NUMBERING.items():
        if number.startswith(f"+{plan.code}"):
            return f"{at.astimezone(ZoneInfo(COUNTRIES[code].zone)):%-d %b, %H:%M}"
    return f"{at.astimezone(UTC):%-d %b, %H:%M} UTC"


def significant(number: str) -> str:
    """The digits that tell a number from others: without punctuation and leading zeros; empty when too few."""
    digits = re.sub(r"\D", "", number).lstrip("0")
    return digits if len(digits) >= LEAST_DIGITS else ""


def same_number(typed: str, number: str) -> bool:
    """Whether a number as typed into the books may be `number` in +E.164."""
    digits = significant(typed)
    return bool(digits) and significant(number).endswith(digits)
