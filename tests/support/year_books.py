"""Made-up books of made-up organisations over a year: what is true of every invoice at every moment."""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

START = datetime(2026, 1, 1, tzinfo=UTC)
WEEK_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
AUSTRALIA = tuple(
    f"Australia/{city}"
    for city in ("Perth", "Eucla", "Darwin", "Brisbane", "Adelaide", "Hobart", "Sydney", "Lord_Howe")
)
NUMBERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("+91987654{:04}", "IN", ("Asia/Kolkata",)),
    ("+4474001{:05}", "GB", ("Europe/London",)),
    ("+1212555{:04}", "US", ("America/New_York",)),
    ("+1415555{:04}", "US", ("America/Los_Angeles",)),
    ("+3361234{:04}", "FR", ("Europe/Paris",)),
    ("+491511234{:04}", "DE", ("Europe/Berlin",)),
    ("+551191234{:04}", "BR", ("America/Sao_Paulo",)),
    ("+97150123{:04}", "AE", ("Asia/Dubai",)),
    ("+97798123{:05}", "NP", ("Asia/Kathmandu",)),
    ("+6141234{:04}", "AU", AUSTRALIA),
    ("+642112{:04}", "NZ", ("Pacific/Auckland", "Pacific/Chatham")),
)
"""Who has such a number lives in one of these zones; written down by hand, not looked up."""
COUNTRY_OF_ZONE = {zone: country for _, country, zones in NUMBERS for zone in zones} | {"Australia/Melbourne": "AU"}

HOURS: tuple[dict[str, Any], ...] = (
    {"start": "09:00", "end": "19:00", "days": WEEK_DAYS[:6], "holidays": True},
    {"start": "08:00", "end": "20:00", "days": WEEK_DAYS[:5], "holidays": True},
    {"start": "00:00", "end": "24:00", "days": WEEK_DAYS, "holidays": False},
    {"start": "10:00", "end": "12:30", "days": ["mon", "wed", "fri"], "holidays": True},
    {"start": "00:30", "end": "03:00", "days": WEEK_DAYS, "holidays": False},
)
STAGES: tuple[tuple[tuple[int, int], ...], ...] = (
    ((-3, 2), (0, 1), (3, 3), (7, 5), (14, 10), (30, 36500)),
    ((0, 2), (1, 2), (2, 2), (3, 2), (4, 2), (5, 30)),
    ((1, 9), (2, 9), (4, 9), (8, 9), (16, 9)),
)
CAPS = ((1, 3), (2, 5), (3, 10), (2, 4), (7, 20), (7, 20))


@dataclass(frozen=True)
class Person:
    """A Xero contact. Several may have one number."""

    contact_id: str
    name: str
    phone: str
    country: str
    zones: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass
class Account:
    """One invoice: its states, each from a moment on."""

    invoice_id: str
    person: Person
    since: list[datetime] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    currency: str = "INR"

    def becomes(self, moment: datetime, **changes: Any) -> None:
        self.since.append(max([moment, *(since + timedelta(seconds=1) for since in self.since[-1:])]))
        self.states.append({**(self.states[-1] if self.states else {}), **changes})

    def at(self, moment: datetime) -> dict[str, Any] | None:
        place = bisect_right(self.since, moment) - 1
        return self.states[place] if place >= 0 else None


@dataclass(frozen=True)
class Organisation:
    """``policy`` is as it would be written in the file; ``stops`` says when a number's person wanted no more."""

    tenant_id: str
    zone: str
    country: str
    policy: dict[str, Any]
    accounts: list[Account]
    stops: dict[str, datetime]


def organisation(rng: Random, number: int, zone: str, days: int) -> Organisation:
    country = COUNTRY_OF_ZONE.get(zone, "ZZ")
    people = [_person(rng, index, country) for index in range(rng.randint(3, 5))]
    people += [_namesake(person) for person in people[:2]]
    per_week, per_month = rng.choice(CAPS)
    offsets = [offset for offset, _ in STAGES[number % len(STAGES)]]
    policy = {
        "alerts": {"issued": True, "paid": rng.random() < 0.5},
        "stages": [
            {"offset_days": offset, "template": "invoice_overdue", "lateness_days": lateness}
            for offset, lateness in STAGES[number % len(STAGES)]
        ],
        "contact_hours": HOURS[number // 2 % len(HOURS)],
        "caps": {"per_contact_per_week": per_week, "per_contact_per_month": per_month},
        "minimum_amount": rng.choice([0, 0, 250]),
        "exclude_contacts": [people[-1].name.upper()] if rng.random() < 0.2 else [],
        "exclude_groups": ["No Messages"] if rng.random() < 0.5 else [],
        "language": "en",
        "languages": {people[0].contact_id: "hi"},
        "scan_at": f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}",
        "brake": {"hold_back_book": False},
        "group_by_contact": number // 8 % 2 == 1,
    }
    accounts = [
        _account(rng, f"{number}-{index}", rng.choice(people), zone, days, offsets) for index in range(days // 4)
    ]
    for account in accounts[::3]:
        account.currency = "USD"
    stops = {people[1].phone: START + timedelta(days=rng.uniform(days / 2, days))} if rng.random() < 0.3 else {}
    return Organisation(f"tenant-{number}", zone, country, policy, accounts, stops)


def _person(rng: Random, index: int, country: str) -> Person:
    near = [row for row in NUMBERS if row[1] == country]
    form, where, zones = rng.choice(near if near and rng.random() < 0.5 else NUMBERS)
    groups = ("no messages",) if rng.random() < 0.3 else ("Regulars",)
    return Person(f"c{index}", f"Customer {index}", form.format(rng.randint(1000, 9000) + index), where, zones, groups)


def _namesake(person: Person) -> Person:
    return Person(f"{person.contact_id}-b", f"{person.name} b", person.phone, person.country, person.zones, ())


def _account(rng: Random, name: str, person: Person, zone: str, days: int, offsets: list[int]) -> Account:
    account = Account(f"invoice-{name}", person)
    moment = START + timedelta(days=rng.uniform(0, days * 0.9))
    today = moment.astimezone(ZoneInfo(zone)).date()
    account.becomes(
        moment,
        status="DRAFT" if rng.random() < 0.1 else "AUTHORISED",
        total=rng.choice([100, 300, 5000]),
        paid=0,
        credited=0,
        issued_on=today,
        due_on=today + timedelta(days=rng.randint(0, 20)),
        promised=None,
    )
    for _ in range(rng.randint(0, 6)):
        moment += timedelta(days=rng.expovariate(1 / 8))
        if rng.random() < 0.5:  # things happen just when a reminder is about to leave, or has left
            day = account.states[-1]["due_on"] + timedelta(days=rng.choice(offsets))
            moment = max(
                moment, datetime.combine(day, time(), tzinfo=ZoneInfo(zone)) + timedelta(hours=rng.uniform(0, 30))
            )
        if not _happens(rng, account, moment, moment.astimezone(ZoneInfo(zone)).date(), offsets):
            break
    return account


def _happens(rng: Random, account: Account, moment: datetime, today: date, offsets: list[int]) -> bool:
    """One more thing happens to the invoice; False when that was the last."""
    state = account.states[-1]
    what = rng.choice(["move", "move", "promise", "part", "pay", "pay", "credit", "void"])
    if state["status"] == "DRAFT":
        account.becomes(moment, status="AUTHORISED")
    elif what == "move":
        account.becomes(moment, due_on=today - timedelta(days=rng.choice([*offsets, rng.randint(-10, 10)])))
    elif what == "promise":
        account.becomes(moment, promised=today + timedelta(days=rng.randint(0, 10)))
    elif what == "part":
        account.becomes(moment, paid=state["total"] // 2)
    elif what in {"pay", "credit"}:
        rest = "paid" if what == "pay" else "credited"
        account.becomes(moment, status="PAID", **{rest: state["total"] - (state["paid"] if rest == "credited" else 0)})
        return rng.random() < 0.2 and _undone(account, moment + timedelta(hours=rng.uniform(1, 90)))
    elif what == "void":
        account.becomes(moment, status="VOIDED")
        return False
    return True


def _undone(account: Account, moment: datetime) -> bool:
    """A payment bounces."""
    account.becomes(moment, status="AUTHORISED", paid=0, credited=0)
    return True


def scan_moment(day: date, organisation: Organisation) -> datetime:
    """The scan of that local day; a time that the clocks skip is moved by what they skip."""
    at = time.fromisoformat(organisation.policy["scan_at"])
    return datetime.combine(day, at, tzinfo=ZoneInfo(organisation.zone)).astimezone(UTC)
