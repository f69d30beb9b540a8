"""Free-text phone fields become the one right mobile number, or a reason; never somebody else's number."""

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.phones import phone_of
from fetcher.ports import Phone
from shared.contracts.invoices import NoPhoneReason

NONE = NoPhoneReason.NONE_GIVEN
LANDLINE = NoPhoneReason.NOT_A_MOBILE
INVALID = NoPhoneReason.INVALID
AMBIGUOUS = NoPhoneReason.AMBIGUOUS_COUNTRY

# organisation's country, country field, area field, number field, what it means
TABLE = [
    # India: bare ten digits, and all the ways to decorate them
    ("IN", "", "", "9876543210", "+919876543210"),
    ("IN", "", "", "98765 43210", "+919876543210"),
    ("IN", "", "", "98765-43210", "+919876543210"),
    ("IN", "", "", "98765.43210", "+919876543210"),
    ("IN", "", "", "98765\u00a043210", "+919876543210"),
    ("IN", "", "", "(98765) 43210", "+919876543210"),
    ("IN", "", "", "09876543210", "+919876543210"),
    ("IN", "", "", "919876543210", "+919876543210"),
    ("IN", "", "", "+919876543210", "+919876543210"),
    ("IN", "", "", "+91-98765-43210", "+919876543210"),
    ("IN", "", "", "(+91) 98765 43210", "+919876543210"),
    ("IN", "", "", "0091 98765 43210", "+919876543210"),
    ("IN", "", "", "091-98765-43210", "+919876543210"),
    ("IN", "", "", "+91 0 98765 43210", "+919876543210"),
    ("IN", "", "", "+91 91 98765 43210", "+919876543210"),
    ("IN", "91", "", "9876543210", "+919876543210"),
    ("IN", "+91", "", "9876543210", "+919876543210"),
    ("IN", "0091", "", "9876543210", "+919876543210"),
    ("IN", "91", "", "919876543210", "+919876543210"),
    ("IN", "91", "", "+919876543210", "+919876543210"),
    ("IN", "91", "", "09876543210", "+919876543210"),
    ("IN", "91", "98765", "43210", "+919876543210"),
    ("IN", "", "98765", "43210", "+919876543210"),
    ("IN", "91", "98765", "00029", "+919876500029"),
    ("IN", "+91", "98765", "00029", "+919876500029"),
    ("IN", "", "98765", "00029", "+919876500029"),
    ("IN", "91", "", "00919876543210", "+919876543210"),
    ("IN", "987", "654", "3210", "+919876543210"),
    ("IN", "", "98765", "9876543210", "+919876543210"),
    ("IN", "IN", "", "9876543210", "+919876543210"),
    ("IN", "", "", "Mob: 98765 43210", "+919876543210"),
    ("IN", "", "", "98765 43210 (Ravi)", "+919876543210"),
    ("IN", "", "", "98765 43210 / 98765 43211", "+919876543210"),
    ("IN", "", "", "9876543210/11", "+919876543210"),
    ("IN", "", "", "080-23456789 / 9876543210", "+919876543210"),
    ("IN", "", "", "९८७६५४३२१०", "+919876543210"),
    ("IN", "", "", "98765４３210", "+919876543210"),
    ("IN", "", "", "6300123456", "+916300123456"),
    ("IN", "", "", "9198765432", "+919198765432"),
    ("IN", "91", "", "9198765432", "+919198765432"),
    ("IN", "", "080", "23456789", LANDLINE),
    ("IN", "", "", "080 2345 6789", LANDLINE),
    ("IN", "", "", "+91 22 2345 6789", LANDLINE),
    ("IN", "", "", "1800 11 4477", LANDLINE),
    ("IN", "", "", "5876543210", LANDLINE),
    ("IN", "", "", "987654321", INVALID),
    ("IN", "", "", "98765432100", INVALID),
    ("IN", "", "", "0424717890", INVALID),
    ("IN", "", "", "+61 424 717 890", "+61424717890"),
    ("IN", "971", "50", "1234567", "+971501234567"),
    ("IN", "India", "", "9876543210", AMBIGUOUS),
    # Australia, with what importers make of "0424717890 #507" and "04 24717890 #507"
    ("AU", "", "", "0424 717 890", "+61424717890"),
    ("AU", "", "", "0424717890 #507", "+61424717890"),
    ("AU", "", "0424717890", "#507", "+61424717890"),
    ("AU", "04", "24717890", "#507", "+61424717890"),
    ("AU", "", "04", "24717890", "+61424717890"),
    ("AU", "61", "", "0424717890", "+61424717890"),
    ("AU", "61", "4", "24717890", "+61424717890"),
    ("AU", "", "", "424717890", "+61424717890"),
    ("AU", "", "", "61424717890", "+61424717890"),
    ("AU", "", "+61", "424717890", "+61424717890"),
    ("AU", "", "", "0011 91 98765 43210", "+919876543210"),
    ("AU", "", "", "0061 424 717 890", "+61424717890"),
    ("AU", "", "", "0424717890 ext 12", "+61424717890"),
    ("AU", "", "02", "9876 5432", LANDLINE),
    ("AU", "", "", "1300 123 456", LANDLINE),
    ("AU", "", "0800", "", INVALID),
    # New Zealand
    ("NZ", "", "021", "123 4567", "+64211234567"),
    ("NZ", "64", "21", "1234567", "+64211234567"),
    ("NZ", "", "", "+64 (0)21 123 4567", "+64211234567"),
    ("NZ", "", "", "027-123-4567", "+64271234567"),
    ("NZ", "", "09", "366 1234", LANDLINE),
    # United Kingdom
    ("GB", "", "", "07911 123456", "+447911123456"),
    ("GB", "44", "", "07911123456", "+447911123456"),
    ("GB", "", "", "+44 (0) 7911 123456", "+447911123456"),
    ("GB", "", "", "00447911123456", "+447911123456"),
    ("GB", "", "", "7911 123456", "+447911123456"),
    ("GB", "", "020", "7946 0958", LANDLINE),
    # United States: the plan does not tell mobiles from landlines
    ("US", "", "(626)", "555-0123", "+16265550123"),
    ("US", "1", "626", "5550123", "+16265550123"),
    ("US", "", "", "1-626-555-0123", "+16265550123"),
    ("US", "", "", "011 91 98765 43210", "+919876543210"),
    ("US", "", "", "626.555.0123 x22", "+16265550123"),
    ("US", "", "800", "5550123", LANDLINE),
    ("US", "", "", "555-0123", INVALID),
    # Singapore, the Emirates, South Africa
    ("SG", "", "", "9123 4567", "+6591234567"),
    ("SG", "65", "", "81234567", "+6581234567"),
    ("SG", "", "", "6123 4567", LANDLINE),
    ("AE", "", "050", "123 4567", "+971501234567"),
    ("AE", "971", "050", "1234567", "+971501234567"),
    ("AE", "", "", "00971 50 123 4567", "+971501234567"),
    ("AE", "", "04", "322 1234", LANDLINE),
    ("ZA", "", "082", "123 4567", "+27821234567"),
    ("ZA", "27", "", "821234567", "+27821234567"),
    ("ZA", "", "", "+27 (82) 123-4567", "+27821234567"),
    ("ZA", "", "011", "123 4567", LANDLINE),
    # a number of another country is never guessed
    ("AU", "", "", "9876543210", INVALID),
    ("IN", "", "", "07911 123456", LANDLINE),
    ("", "", "", "9876543210", AMBIGUOUS),
    ("", "", "", "+919876543210", "+919876543210"),
    ("XX", "", "", "9876543210", AMBIGUOUS),
    # nothing, or nothing like a number
    ("IN", "", "", "", NONE),
    ("IN", "91", "", "", NONE),
    ("IN", "", "", "ask Ravi", NONE),
    ("IN", "", "", "+", NONE),
    ("IN", "", "", "0", INVALID),
    ("IN", "", "", "0000000000", INVALID),
    ("IN", "", "", "9" * 50, INVALID),
]


@pytest.mark.parametrize(("organisation", "country", "area", "number", "meant"), TABLE)
def test_a_mobile_field_means_one_number_or_a_reason(
    organisation: str, country: str, area: str, number: str, meant: str | NoPhoneReason
) -> None:
    assert phone_of([Phone("MOBILE", country, area, number)], organisation, None) == meant


def test_the_mobile_field_comes_first_wherever_it_stands() -> None:
    phones = [Phone("DEFAULT", "", "", "9876543210"), Phone("MOBILE", "", "", "9876543211")]
    assert phone_of(phones, "IN", None) == "+919876543211"


def test_a_mobile_number_in_the_default_field_serves() -> None:
    phones = [Phone("DEFAULT", "", "", "9876543210"), Phone("MOBILE", "", "", "")]
    assert phone_of(phones, "IN", None) == "+919876543210"


def test_a_landline_in_the_default_field_does_not() -> None:
    assert phone_of([Phone("DEFAULT", "", "080", "23456789")], "IN", None) is LANDLINE


@pytest.mark.parametrize("kind", ["DDI", "FAX", "OFFICE", ""])
def test_no_other_field_is_ever_used(kind: str) -> None:
    assert phone_of([Phone(kind, "", "", "9876543210")], "IN", None) is NONE


def test_no_phones_at_all_is_none_given() -> None:
    assert phone_of([], "IN", None) is NONE


def test_the_contacts_country_never_supplies_a_country_code() -> None:
    assert phone_of([Phone("MOBILE", "", "", "0424717890")], "IN", "AU") is AMBIGUOUS


def test_the_organisations_country_stands_where_the_contacts_makes_no_mobile_of_it() -> None:
    assert phone_of([Phone("MOBILE", "", "", "9876543210")], "IN", "AE") == "+919876543210"


def test_digits_that_are_a_mobile_in_both_countries_are_nobodys() -> None:
    both = Phone("MOBILE", "", "", "7400123456")
    assert phone_of([both], "GB", None) == "+447400123456"
    assert phone_of([both], "IN", None) == "+917400123456"
    assert phone_of([both], "GB", "IN") is AMBIGUOUS


def test_a_country_code_ends_the_doubt() -> None:
    assert phone_of([Phone("MOBILE", "44", "", "7911123456")], "GB", "IN") == "+447911123456"


digits_and_mess = st.text(alphabet="0123456789+()-. /#x,\u00a0", max_size=24) | st.text(max_size=20)
mobiles = st.from_regex(re.compile(r"[6-9][0-9]{9}"), fullmatch=True)


@given(
    st.lists(
        st.builds(
            Phone,
            st.sampled_from(["MOBILE", "DEFAULT", "DDI", "FAX"]),
            digits_and_mess,
            digits_and_mess,
            digits_and_mess,
        ),
        max_size=4,
    ),
    st.sampled_from(["IN", "AU", "NZ", "GB", "US", "SG", "AE", "ZA", "", "ZZ"]),
    st.sampled_from([None, "IN", "AU", "GB", "US", "ZZ"]),
)
def test_whatever_comes_out_is_a_valid_mobile_number(
    phones: list[Phone], organisation: str, contact: str | None
) -> None:
    found = phone_of(phones, organisation, contact)
    if isinstance(found, NoPhoneReason):
        return
    assert re.fullmatch(r"\+[1-9]\d{6,14}", found)
    parsed = phonenumbers.parse(found)
    assert phonenumbers.is_valid_number(parsed)
    assert phonenumbers.number_type(parsed) in {
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    }


@given(mobiles, st.sampled_from(["{}", "0{}", "+91{}", "91{}", "0091{}", "+91 (0){}", "091-{}", "{} #12"]))
def test_an_indian_number_is_the_same_however_it_is_decorated(number: str, form: str) -> None:
    plain = phone_of([Phone("MOBILE", "", "", number)], "IN", None)
    if isinstance(plain, str) and not isinstance(plain, NoPhoneReason):
        assert plain == f"+91{number}"
        assert phone_of([Phone("MOBILE", "", "", form.format(number))], "IN", None) == plain
