"""Only Xero's own pages are shown to customers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.online_links import LONGEST_LINK, safe_link

PLAIN = [
    "https://in.xero.com/m1Z3h0aOd9Wb8dYQ",
    "https://go.xero.com/app/invoice/view/1d5a1c1e-0b6f?utm_source=a&b=c%20d",
    "https://xero.com/",
]
NOT_XEROS = [
    "http://in.xero.com/a",
    "HTTPS://in.xero.com/a",
    "https://in.xero.com.evil.example/a",
    "https://evilxero.com/a",
    "https://evil.example/in.xero.com/",
    "https://user@in.xero.com/a",
    "https://in.xero.com@evil.example/a",
    "https://in.xero.com\\@evil.example/a",
    "https://in.xero.com:8443/a",
    "https://in.xero.com",
    "https://.xero.com/a",
    "https://in..xero.com/a",
    "https://in.xero.com/a b",
    "https://in.xero.com/a\n",
    "https://in.xero.com/\N{RIGHT-TO-LEFT OVERRIDE}a",
    "https://in.x\N{CYRILLIC SMALL LETTER IE}ro.com/a",
    "https://[::1]/a",
    "//in.xero.com/a",
    "javascript:alert(1)",
    "",
]


@pytest.mark.parametrize("address", PLAIN)
def test_a_page_of_xeros_may_be_shown(address: str) -> None:
    assert safe_link(address) == address


@pytest.mark.parametrize("address", NOT_XEROS)
def test_nothing_else_may(address: str) -> None:
    assert safe_link(address) is None


def test_a_long_address_may_not() -> None:
    page = "https://in.xero.com/"
    assert safe_link(page + "a" * (LONGEST_LINK - len(page))) is not None
    assert safe_link(page + "a" * (LONGEST_LINK - len(page) + 1)) is None
    assert safe_link(None) is None


@given(st.text(max_size=60))
def test_whatever_is_shown_leads_to_xero(rest: str) -> None:
    for address in (f"https://in.xero.com{rest}", f"https://{rest}.xero.com/", f"https://in.xero.com/{rest}"):
        shown = safe_link(address)
        if shown is not None:
            host = shown.removeprefix("https://").partition("/")[0]
            assert host == "xero.com" or host.endswith(".xero.com")
            assert host.replace("-", "").replace(".", "").isalnum()
