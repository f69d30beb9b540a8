"""Dates, money, phones and zones, whatever Xero and the people who type into it write."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from fetcher.adapters.answers import read_answer
from fetcher.dates import calendar_date, date_filter, modified_since, moment
from fetcher.mapping import invoice_row
from fetcher.phones import phone_of
from fetcher.ports import Phone
from fetcher.time_zones import IANA_NAMES, iana_name
from shared.contracts.invoices import CauseKind, InvoiceEnrichedV1, NoPhoneReason
from support.builders import make_enriched
from unit.fetcher.samples import NOW, invoice_json

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
offsets = st.sampled_from(["", "+0000", "+1300", "-1200", "+0545", "+0530", "-0330"])
zones = st.sampled_from(sorted(set(IANA_NAMES.values()))).map(ZoneInfo)
FIRST, LAST = EPOCH.replace(year=1, day=3), EPOCH.replace(year=9999, month=12, day=29)
moments = st.timedeltas(FIRST - EPOCH, LAST - EPOCH).map(lambda since: EPOCH + since)


def wire(at: datetime, offset: str) -> str:
    return f"/Date({(at - EPOCH) // MILLISECOND}{offset})/"


@given(st.dates(), offsets)
@example(date(1969, 12, 31), "+0000")
@example(date(2026, 3, 29), "")
def test_a_calendar_date_is_the_same_day_with_any_offset(day: date, offset: str) -> None:
    midnight = datetime.combine(day, time(), UTC)
    assert calendar_date(wire(midnight, offset)) == day
    assert calendar_date(f"{day.isoformat()}T00:00:00") == day


@given(moments, offsets)
def test_milliseconds_are_kept_on_either_side_of_1970(at: datetime, offset: str) -> None:
    assert moment(wire(at, offset)) == EPOCH + (at - EPOCH) // MILLISECOND * MILLISECOND


@given(moments, zones, st.booleans())
@example(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), ZoneInfo("Europe/London"), False)
@example(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), ZoneInfo("Europe/London"), False)
@example(datetime(2026, 9, 26, 14, 0, tzinfo=UTC), ZoneInfo("Pacific/Auckland"), True)
def test_a_moment_is_the_same_on_every_wall_and_in_the_hour_that_comes_twice(
    at: datetime, zone: ZoneInfo, aware: bool
) -> None:
    written = at.astimezone(zone) if aware else at.replace(tzinfo=None)
    assert moment(written.isoformat()) == at
    assert moment(written.isoformat(timespec="milliseconds")) == at.replace(microsecond=at.microsecond // 1000 * 1000)


@given(st.text(max_size=30) | st.from_regex(r"/Date\(-?\d{1,20}([+-]\d{4})?\)/", fullmatch=True))
@example("0001-01-01T00:00:00+05:00")
@example("9999-12-31T23:59:59-05:00")
@example("/Date(-62135596800000+0000)/")
def test_any_text_is_a_moment_in_utc_or_a_value_error(text: str) -> None:
    try:
        found = moment(text)
    except ValueError:
        return
    assert found.utcoffset() == timedelta(0)


@given(moments, zones)
def test_xero_is_asked_for_changes_since_the_whole_second_before(at: datetime, zone: ZoneInfo) -> None:
    asked = modified_since(at.astimezone(zone))
    assert datetime.strptime(asked, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC) == at.replace(microsecond=0)


@given(st.dates())
def test_a_date_in_a_filter_has_no_leading_zeros(day: date) -> None:
    assert date_filter(day) == f"DateTime({day.year},{day.month},{day.day})"


currencies = st.sampled_from([("INR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("EUR", 2)])
amounts = st.integers(min_value=-(10**15), max_value=10**15)


@given(currencies, amounts, amounts, amounts)
@example(("INR", 2), 10, 20, 30)
@example(("EUR", 2), 9007199254740993, 1, 1)
def test_money_comes_from_the_wire_to_the_next_service_exactly(
    currency: tuple[str, int], total: int, paid: int, credited: int
) -> None:
    code, decimals = currency
    written = {
        name: format(Decimal(units).scaleb(-decimals), "f")
        for name, units in {
            "Total": total,
            "AmountPaid": paid,
            "AmountCredited": credited,
            "AmountDue": total - paid - credited,
        }.items()
    }
    raw = invoice_json(1, CurrencyCode=code) | {name: f"<{name}>" for name in written}
    text = json.dumps({"Invoices": [raw]})
    for name, number in written.items():
        text = text.replace(f'"<{name}>"', number)
    answer = read_answer(httpx.Response(200, text=text, headers={"Content-Type": "application/json"}), NOW)
    assert answer is not None
    invoice = invoice_row(answer.body["Invoices"][0]).invoice
    event = make_enriched(cause={"kind": CauseKind.SCAN}).model_copy(update={"invoice": invoice})
    received = InvoiceEnrichedV1.model_validate_json(event.model_dump_json()).invoice
    for seen in (invoice, received):
        assert (seen.total, seen.amount_paid, seen.amount_credited, seen.amount_due, seen.currency) == (
            *map(Decimal, written.values()),
            code,
        )
    assert received.amount_due == received.total - received.amount_paid - received.amount_credited


MOBILES = {
    region: number
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    if (number := phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)) is not None
}


@pytest.mark.parametrize("region", MOBILES)
def test_a_mobile_of_any_country_is_found_however_its_four_fields_are_used(region: str) -> None:
    number = MOBILES[region]
    whole = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    code, digits = str(number.country_code), phonenumbers.national_significant_number(number)
    spaced = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    for home in (region, "IN", "NZ", "US"):
        for phone in (
            Phone("MOBILE", "", "", whole),
            Phone("MOBILE", "", "", spaced),
            Phone("MOBILE", f"+{code}", digits[:3], digits[3:]),
            Phone("MOBILE", code, "", digits),
            Phone("DEFAULT", f"+{code}", "", digits),
        ):
            assert phone_of([phone], home, None) == whole, (home, phone)
    assert phone_of([Phone("MOBILE", "", "", digits)], region, None) == whole


anything = st.text(max_size=60)


@given(
    st.lists(st.builds(Phone, anything | st.just("MOBILE"), anything, anything, anything), max_size=5),
    anything | st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)),
    st.none() | anything | st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)),
)
def test_whatever_was_typed_there_is_a_number_or_a_reason(
    phones: list[Phone], home: str, elsewhere: str | None
) -> None:
    found = phone_of(phones, home, elsewhere)
    assert isinstance(found, NoPhoneReason) or phonenumbers.is_valid_number(phonenumbers.parse(found))


@given(st.sampled_from(sorted(IANA_NAMES)), st.booleans())
def test_a_zone_is_known_by_its_name_in_any_case_and_with_blanks(name: str, small: bool) -> None:
    spaced = name.replace("STANDARDTIME", " Standard Time")
    found = iana_name(spaced.lower() if small else spaced)
    assert found is not None
    assert ZoneInfo(found).key == IANA_NAMES[name]


@given(st.text(max_size=40))
def test_any_other_zone_name_is_unknown(name: str) -> None:
    found = iana_name(name)
    assert found is None or found in IANA_NAMES.values()
