"""Judges what left in a year by the books and the written policy alone; knows nothing of the code that decided."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import holidays
from babel import localedata
from babel.dates import format_date

from support.year import Post
from support.year_books import WEEK_DAYS, Account, Organisation

BLINK = timedelta(minutes=10)
"""What happened in the books so shortly before a message left could not be known."""


def breaches(organisation: Organisation, posts: Sequence[Post]) -> Counter[str]:
    """How often each promise was broken."""
    reminders = [post for post in posts if post.kind == "reminder"]
    found: Counter[str] = Counter()
    found.update(_caps(organisation, reminders))
    found.update(_days(organisation, reminders))
    said = [(one.invoice_id, post.kind, stage) for post in posts for one, stage in zip(*_told(post), strict=True)]
    found["twice"] += len(said) - len(set(said))
    for post in posts:
        found.update(_of_person(organisation, post))
    for post in reminders:
        for account, stage in zip(*_told(post), strict=True):
            found.update(_of_invoice(organisation, post, account, stage))
        if len(post.accounts) > 1 or "invoice_count" in post.said:
            found.update(_of_statement(organisation, post))
    return +found


def _told(post: Post) -> tuple[Sequence[Account], Sequence[int | None]]:
    return post.accounts, post.stages


def _of_statement(organisation: Organisation, post: Post) -> Iterator[str]:
    """Only of who wants them, of one customer, of overdue invoices; and what it says is true of exactly those."""
    if not organisation.policy["group_by_contact"] or any(stage is None or stage <= 0 for stage in post.stages):
        yield "ungrouped"
    if len({account.person.contact_id for account in post.accounts}) != 1:
        yield "two_contacts"
    if post.said.get("invoice_count") != str(len({account.invoice_id for account in post.accounts})):
        yield "wrong_count"
    sums: dict[str, set[int]] = {}
    oldest = [{state["due_on"] for state in _known(account, post.at)} for account in post.accounts]
    for account in post.accounts:
        due = {state["total"] - state["paid"] - state["credited"] for state in _known(account, post.at)}
        before = sums.get(account.currency, {0})
        sums[account.currency] = {so_far + amount for so_far in before for amount in due}
    said = {part[:3]: int(part[4:].replace(",", "").split(".")[0]) for part in post.said.get("totals", "").split(" + ")}
    if said.keys() != sums.keys() or any(amount not in sums[currency] for currency, amount in said.items()):
        yield "wrong_total"
    locale = f"{post.language}_{organisation.country}" if organisation.country != "ZZ" else post.language
    days = {min(chosen) for chosen in product(*oldest)}
    if post.said.get("oldest_due_date") not in {format_date(day, "d MMM y", locale=locale_of(locale)) for day in days}:
        yield "wrong_oldest"


def locale_of(name: str) -> str:
    """The language alone where it is not written in the country."""
    return name if name in localedata.locale_identifiers() else name.split("_", maxsplit=1)[0]


def _known(account: Account, at: datetime) -> list[dict[str, Any]]:
    """The states that may have been known then."""
    moments = {at - BLINK, at, *(since for since in account.since if at - BLINK < since < at)}
    return [state for moment in moments if (state := account.at(moment))]


def _caps(organisation: Organisation, reminders: Sequence[Post]) -> Iterator[str]:
    caps = organisation.policy["caps"]
    for number, last in enumerate(reminders):
        contact, phone = last.account.person.contact_id, last.to
        earlier = [
            last.at - post.at
            for post in reminders[: number + 1]
            if post.account.person.contact_id == contact or post.to == phone
        ]
        if sum(ago < timedelta(days=7) for ago in earlier) > caps["per_contact_per_week"]:
            yield "week_cap"
        if sum(ago < timedelta(days=30) for ago in earlier) > caps["per_contact_per_month"]:
            yield "month_cap"
    zone = ZoneInfo(organisation.zone)
    months = Counter((post.to, post.at.astimezone(zone).strftime("%Y-%m")) for post in reminders)
    yield from ("calendar_month_cap" for count in months.values() if count > caps["per_contact_per_month"])


def _days(organisation: Organisation, reminders: Sequence[Post]) -> Iterator[str]:
    for clock in ("organisation", "person"):
        seen: set[tuple[str, date]] = set()
        for post in reminders:
            zone = organisation.zone if clock == "organisation" else _zones(organisation, post)[0]
            for account in post.accounts:
                day = (account.invoice_id, post.at.astimezone(ZoneInfo(zone)).date())
                if day in seen:
                    yield "two_stages_on_a_day"
                seen.add(day)


def _zones(organisation: Organisation, post: Post) -> tuple[str, ...]:
    person = post.account.person
    at_home = len(person.zones) > 1 and person.country == organisation.country
    return (organisation.zone,) if at_home else person.zones


def _of_person(organisation: Organisation, post: Post) -> Iterator[str]:
    policy, person = organisation.policy, post.account.person
    hours = policy["contact_hours"]
    if not any(_open(hours, person.country, post.at.astimezone(ZoneInfo(z))) for z in _zones(organisation, post)):
        yield "out_of_hours"
    if any(name.lower() == person.name.lower() for name in policy["exclude_contacts"]):
        yield "excluded"
    if {name.lower() for name in policy["exclude_groups"]} & {name.lower() for name in person.groups}:
        yield "excluded_group"
    if organisation.stops.get(post.to, post.at) < post.at:
        yield "stopped"
    if post.language != ("hi" if person.contact_id in policy["languages"] else "en"):
        yield "language"


def _open(hours: dict[str, Any], country: str, wall: datetime) -> bool:
    inside = hours["start"] <= wall.strftime("%H:%M") < hours["end"]
    free = hours["holidays"] and wall.date() in _calendar(country)
    return inside and WEEK_DAYS[wall.weekday()] in hours["days"] and not free


@lru_cache(maxsize=64)
def _calendar(country: str) -> holidays.HolidayBase:
    return holidays.country_holidays(country, years=(2025, 2026, 2027))


def _of_invoice(organisation: Organisation, post: Post, account: Account, stage: int | None) -> Iterator[str]:
    """What was so now and ten minutes ago alike was known."""
    states = [state for at in (post.at - BLINK, post.at) if (state := account.at(at))]
    today = post.at.astimezone(ZoneInfo(organisation.zone)).date()
    if all(state["status"] == "PAID" for state in states):
        yield "paid_invoice"
    if all(state["status"] in {"DRAFT", "VOIDED"} for state in states):
        yield "not_owed"
    if all(state["promised"] is not None and today <= state["promised"] for state in states):
        yield "promised"
    if all(
        state["total"] - state["paid"] - state["credited"] < organisation.policy["minimum_amount"] for state in states
    ):
        yield "below_minimum"
    if not any(stage == _stage(organisation.policy["stages"], (today - state["due_on"]).days) for state in states):
        yield "wrong_day"


def _stage(stages: Sequence[dict[str, Any]], days: int) -> int | None:
    """The offset of the one stage that may leave so many days after the due date."""
    reached = [stage for stage in stages if stage["offset_days"] <= days]
    if not reached:
        return None
    last = max(reached, key=lambda stage: int(stage["offset_days"]))
    return int(last["offset_days"]) if days <= last["offset_days"] + last["lateness_days"] else None
