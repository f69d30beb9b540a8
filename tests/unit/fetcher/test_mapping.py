"""Xero's JSON is read defensively: what may be missing may be missing, what is wrong is named and never shown."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.batches import LONGEST_QUERY, batches, first_batch, ids_query
from fetcher.dates import calendar_date, date_filter, modified_since, moment
from fetcher.fields import Unreadable
from fetcher.mapping import contact_card, contact_cards, contact_of, invoice_page, invoice_row, organisation
from fetcher.time_zones import IANA_NAMES, iana_name
from unit.fetcher.samples import NOW, contact_json, guid, invoice_json


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/Date(1518685950940+0000)/", datetime(2018, 2, 15, 9, 12, 30, 940000, UTC)),
        ("/Date(1518685950940)/", datetime(2018, 2, 15, 9, 12, 30, 940000, UTC)),
        ("/Date(1518685950940+1300)/", datetime(2018, 2, 15, 9, 12, 30, 940000, UTC)),
        ("/Date(-86400000+0000)/", datetime(1969, 12, 31, tzinfo=UTC)),
        ("2019-08-01T00:00:00", datetime(2019, 8, 1, tzinfo=UTC)),
        ("2019-08-01T00:00:00Z", datetime(2019, 8, 1, tzinfo=UTC)),
        ("2019-08-01T05:30:00+05:30", datetime(2019, 8, 1, tzinfo=UTC)),
        ("2025-12-02T00:44:09.923", datetime(2025, 12, 2, 0, 44, 9, 923000, UTC)),
    ],
)
def test_moments(written: str, meant: datetime) -> None:
    assert moment(written) == meant
    assert calendar_date(written) == meant.date()


@pytest.mark.parametrize("written", ["", "soon", "/Date()/", "/Date(99999999999999999)/", "/Date(1e3)/", "2019-13-01"])
def test_what_is_no_moment(written: str) -> None:
    with pytest.raises(ValueError):
        moment(written)


def test_dates_as_xero_wants_to_be_asked() -> None:
    assert modified_since(datetime(2026, 6, 3, 7, 5, 9, 999999, UTC)) == "2026-06-03T07:05:09"
    assert date_filter(date(2026, 6, 3)) == "DateTime(2026,6,3)"


def test_an_invoice_is_read_whole() -> None:
    raw = invoice_json(
        1, Total=Decimal("1180.50"), AmountDue=Decimal("1000.25"), AmountPaid=Decimal("180.25"), LineItems=[{}]
    )
    row = invoice_row(raw)
    assert row.invoice.model_dump() == {
        "invoice_id": guid(1),
        "number": "INV-1",
        "type": "ACCREC",
        "status": "AUTHORISED",
        "total": Decimal("1180.50"),
        "amount_due": Decimal("1000.25"),
        "amount_paid": Decimal("180.25"),
        "amount_credited": Decimal(0),
        "currency": "INR",
        "issued_on": date(2026, 6, 1),
        "due_on": date(2026, 6, 15),
        "expected_payment_on": None,
        "updated_at": NOW,
        "online_url": None,
        "no_link_reason": None,
    }
    assert (row.contact_id, row.contact_name, row.card) == (guid(9001), "Contact 1", None)


def test_only_an_invoice_asked_for_alone_brings_its_contact() -> None:
    raw = invoice_json(1, Contact=contact_json(1))
    assert invoice_row(raw).card is None
    assert invoice_row(raw, single=True).card == contact_card(contact_json(1))
    assert invoice_row(invoice_json(1), single=True).card is None


@pytest.mark.parametrize(
    "field", ["InvoiceNumber", "AmountPaid", "AmountCredited", "Date", "DueDate", "UpdatedDateUTC"]
)
def test_what_may_be_missing(field: str) -> None:
    raw = invoice_json(1)
    del raw[field]
    assert invoice_row(raw).invoice.invoice_id == guid(1)


def test_the_text_form_of_a_date_stands_in() -> None:
    raw = invoice_json(1, DueDateString="2026-07-01T00:00:00")
    del raw["DueDate"]
    assert invoice_row(raw).invoice.due_on == date(2026, 7, 1)


def test_words_that_xero_adds_later_pass() -> None:
    row = invoice_row(invoice_json(1, Status="Parked", Type="ARPREPAYMENT"))
    assert (row.invoice.status, row.invoice.type) == ("PARKED", "ARPREPAYMENT")


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("InvoiceID", None, "InvoiceID"),
        ("InvoiceID", 7, "InvoiceID"),
        ("Type", "", "Type"),
        ("Status", None, "Status"),
        ("Total", None, "Total"),
        ("AmountDue", "100", "AmountDue"),
        ("AmountDue", True, "AmountDue"),
        ("AmountDue", Decimal("NaN"), "AmountDue"),
        ("AmountDue", Decimal("1E+30"), "AmountDue"),
        ("Total", -(10**16), "Total"),
        ("AmountPaid", [], "AmountPaid"),
        ("CurrencyCode", None, "CurrencyCode"),
        ("CurrencyCode", "rupees", "Invoice.currency"),
        ("DueDate", "soon", "DueDate"),
        ("DueDate", 1780272000000, "DueDate"),
        ("UpdatedDateUTC", "/Date(99999999999999999)/", "UpdatedDateUTC"),
        ("InvoiceNumber", 5, "InvoiceNumber"),
        ("Contact", None, "Contact"),
        ("Contact", {}, "Contact.ContactID"),
    ],
)
def test_what_is_wrong_is_named_without_its_value(field: str, value: Any, named: str) -> None:
    with pytest.raises(Unreadable) as problem:
        invoice_row(invoice_json(1, **{field: value}))
    assert str(problem.value) == named


def test_one_bad_invoice_spoils_no_other_and_keeps_its_id() -> None:
    page = invoice_page({"Invoices": [invoice_json(1, Total={}), invoice_json(2), "no invoice"]}, NOW)
    assert [row.invoice.number for row in page.rows] == ["INV-2"]
    assert [(problem.invoice_id, problem.field) for problem in page.unreadable] == [(guid(1), "Total"), ("", "Invoice")]
    assert (page.length, page.server_time, page.page_count) == (3, None, None)


def test_the_envelope_tells_xeros_time_and_pages() -> None:
    page = invoice_page(
        {"DateTimeUTC": "/Date(1782205200000)/", "pagination": {"pageCount": 4, "itemCount": 3001}, "Invoices": []}, NOW
    )
    assert (page.server_time, page.page_count, page.item_count) == (NOW, 4, 3001)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(invoice_json(1))), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_no_json_gets_further_than_unreadable(value: Any) -> None:
    raw = invoice_json(1)
    for field in list(raw):
        try:
            invoice_row({**raw, field: value}, single=True)
        except Unreadable:
            continue


def test_groups_are_told_by_a_reading_of_contacts_and_else_only_when_there_are_any() -> None:
    group = {"ContactGroupID": "AB-1", "Name": "No Reminders", "Status": "ACTIVE"}
    grouped, alone = contact_json(1) | {"ContactGroups": [group]}, contact_json(2)
    first, second = contact_cards({"Contacts": [grouped, alone | {"ContactGroups": []}]})
    assert [(found.group_id, found.name) for found in first.groups or ()] == [("ab-1", "No Reminders")]
    assert contact_of(first, "IN").groups == first.groups
    assert second.groups == ()
    assert contact_card(alone | {"ContactGroups": []}).groups is None
    assert contact_card(alone).groups is None
    assert contact_card(grouped).groups == first.groups
    assert contact_card(alone | {"ContactGroups": "odd"}).groups is None


def test_a_contact_that_became_another_is_not_active() -> None:
    assert contact_card(contact_json(1)).status == "ACTIVE"
    assert contact_card({**contact_json(1), "MergedToContactID": guid(9002)}).status == "MERGED"


def test_contacts_survive_missing_and_strange_phones() -> None:
    raw = contact_json(1)
    assert contact_card({**raw, "Phones": None}).phones == ()
    assert contact_card({**raw, "Phones": "none"}).phones == ()
    assert (
        contact_card({**raw, "Phones": [None, {}, {"PhoneType": "mobile", "PhoneNumber": 98}]}).phones[2].number == ""
    )
    assert [card.contact_id for card in contact_cards({"Contacts": [raw, {}, None]})] == [guid(9001)]


@pytest.mark.parametrize(
    ("country", "code"),
    [("India", "IN"), (" new  zealand ", "NZ"), ("U.K.", None), ("in", "IN"), ("Wakanda", None), ("", None)],
)
def test_the_country_of_an_address(country: str, code: str | None) -> None:
    addresses = [{"AddressType": "POBOX", "Country": ""}, {"AddressType": "STREET", "Country": country}]
    assert contact_card(contact_json(1, Addresses=addresses)).country == code


def test_an_organisation() -> None:
    raw = {"Name": "Asha", "BaseCurrency": "INR", "CountryCode": "IN", "Timezone": "INDIASTANDARDTIME"}
    found, unknown_zone = organisation({"Organisations": [raw]})
    assert (found.name, found.time_zone, found.country, found.base_currency) == ("Asha", "Asia/Kolkata", "IN", "INR")
    assert unknown_zone is None


def test_an_unknown_time_zone_is_utc_and_said() -> None:
    raw = {"Name": "Asha", "BaseCurrency": "INR", "CountryCode": "IN", "Timezone": "MARSSTANDARDTIME"}
    found, unknown_zone = organisation({"Organisations": [raw]})
    assert (found.time_zone, unknown_zone) == ("UTC", "MARSSTANDARDTIME")


@pytest.mark.parametrize("envelope", [{}, {"Organisations": []}, {"Organisations": [{"Name": "Asha"}]}])
def test_no_organisation(envelope: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        organisation(envelope)


def test_every_time_zone_is_one() -> None:
    assert len(IANA_NAMES) == 141
    for name in IANA_NAMES.values():
        assert ZoneInfo(name).key == name


@pytest.mark.parametrize(
    ("name", "hours_in_july"),
    [("INDIASTANDARDTIME", 5.5), ("NEWZEALANDSTANDARDTIME", 12), ("UTC02", -2), ("UTC+12", 12), ("GMTSTANDARDTIME", 1)],
)
def test_time_zones_mean_what_they_say(name: str, hours_in_july: float) -> None:
    offset = datetime(2026, 7, 1, tzinfo=ZoneInfo(iana_name(name) or "")).utcoffset()
    assert offset is not None
    assert offset.total_seconds() == hours_in_july * 3600


def test_fifty_ids_fit_and_no_more() -> None:
    ids = [guid(number) for number in range(120)]
    assert [len(batch) for batch in batches(ids)] == [50, 50, 20]
    assert [key for batch in batches(ids) for key in batch] == ids


def test_long_ids_are_fewer() -> None:
    ids = [str(number) * 100 for number in range(10, 60)]
    batch = first_batch(ids)
    assert 1 < len(batch) < 50
    assert len("&".join(f"{key}={value}" for key, value in ids_query(batch).items())) < LONGEST_QUERY
    assert first_batch(["x" * 3000]) == ["x" * 3000]
    assert first_batch([]) == []
