"""Rates by market, category and day; what WhatsApp says of a price; what kind of message a person wrote."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from notifier.budget import fits
from notifier.rates import Pricing, load_rates, pricing_of
from notifier.replies import InboundKind, kind_of
from shared.errors import ConfigurationError
from support.notifier import CATALOGUE, inbound

CARDS = """
currency: USD
cards:
  - from: 2026-07-01
    sources: [a card]
    markets: {GB: {utility: "0.02", marketing: "0.05"}}
  - from: 2026-10-01
    sources: [another]
    markets: {GB: {utility: "0.03"}}
"""
JUNE, JULY, OCTOBER = date(2026, 6, 30), date(2026, 7, 1), date(2026, 10, 1)


@pytest.mark.parametrize(
    ("market", "category", "on", "rate"),
    [
        ("GB", "utility", JUNE, None),
        ("GB", "utility", JULY, "0.02"),
        ("GB", "utility", OCTOBER, "0.03"),
        ("GB", "marketing", OCTOBER, "0.05"),  # a later card says only what has changed
        ("GB", "service", OCTOBER, None),
        ("FR", "utility", OCTOBER, None),
        (None, "utility", OCTOBER, None),
    ],
)
def test_the_newest_card_that_has_begun_and_names_it(
    tmp_path: Path, market: str | None, category: str, on: date, rate: str | None
) -> None:
    (tmp_path / "rates").mkdir()
    (tmp_path / "rates" / "usd.yaml").write_text(CARDS, encoding="utf-8")
    rates = load_rates(tmp_path / "policy.yaml")
    assert rates.rate("USD", market, category, on) == (rate and Decimal(rate))
    assert rates.rate("INR", market, category, on) is None


@pytest.mark.parametrize(
    ("broken", "line", "said"),
    [
        (CARDS.replace("[a card]", "[]"), 5, "at least 1 item"),
        (CARDS.replace('"0.02"', '"-1"'), 6, "greater than or equal to 0"),
        (CARDS.replace("USD", "dollars"), 2, "currency"),
        (CARDS.replace("from: 2026-07-01", "from: July"), 4, "from"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_line(tmp_path: Path, broken: str, line: int, said: str) -> None:
    (tmp_path / "rates").mkdir()
    (tmp_path / "rates" / "usd.yaml").write_text(broken, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"usd\.yaml:{line}: .*{said}"):
        load_rates(tmp_path / "policy.yaml")


def test_what_is_shipped_prices_india_in_rupees() -> None:
    rates = load_rates(CATALOGUE)
    bill = rates.bill("+919876543210", "INR", OCTOBER)
    assert (bill.market, bill.estimate) == ("IN", Decimal("0.115"))
    assert rates.bill("+919876543210", "INR", OCTOBER, "service").estimate == Decimal("0.115")
    assert rates.bill("+447400123456", "INR", OCTOBER).estimate is None


@pytest.mark.parametrize(
    ("raw", "pricing", "free"),
    [
        ({"billable": True, "type": "regular", "category": "UTILITY"}, Pricing("utility", "regular", True), False),
        ({"billable": True, "type": "free_entry_point"}, Pricing(None, "free_entry_point", True), True),
        ({"type": "free_group_customer_service"}, Pricing(None, "free_group_customer_service"), True),
        ({"billable": False, "category": "utility"}, Pricing("utility", None, False), True),
        ({"category": "utility"}, Pricing("utility"), None),
        ({"billable": "yes", "category": 7}, Pricing(), None),
    ],
)
def test_the_type_says_what_is_free(raw: dict[str, object], pricing: Pricing, free: bool | None) -> None:
    assert pricing_of({"pricing": raw}) == pricing
    assert pricing.is_free is free


def test_a_status_without_a_price() -> None:
    assert pricing_of({}) is None
    assert pricing_of({"pricing": [1]}) is None


@pytest.mark.parametrize(
    ("budget", "spent", "estimate", "room"),
    [
        (None, "9", "1", True),
        ("10", "9", "1", True),
        ("10", "9.5", "1", False),
        ("10", "9.5", None, True),
        ("10", "10", None, False),
        ("0", "0", "0", True),
        ("0", "0", None, False),
    ],
)
def test_what_still_fits(budget: str | None, spent: str, estimate: str | None, room: bool) -> None:
    whole = None if budget is None else Decimal(budget)
    assert fits(whole, Decimal(spent), None if estimate is None else Decimal(estimate)) is room


@pytest.mark.parametrize(
    ("text", "written", "kind"),
    [
        ("STOP", "button", "stop"),
        ("start", "text", "start"),
        ("please call me", "text", "text"),
        ("OK, thanks!", "text", "acknowledgement"),
        ("🙏", "text", "acknowledgement"),
        ("ठीक है।", "text", "acknowledgement"),
        ("ok but the amount is wrong", "text", "text"),
        ("Call me", "button", "button"),
        (None, "image", "media"),
        (None, "reaction", "reaction"),
        (None, "system", "system"),
        (None, "something_new", "other"),
    ],
)
def test_what_a_person_wrote(text: str | None, written: str, kind: str) -> None:
    assert kind_of(inbound(text, raw={"type": written})) is InboundKind(kind)
