"""The promises that every event keeps."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import SecretStr, ValidationError

from shared.contracts import EVENTS, Event, InvoiceEnrichedV1
from shared.contracts.tokens import TokenGranted
from support.builders import make_enriched, make_scan, make_xero_event

EXAMPLES = [make_xero_event(), make_scan(), make_enriched()]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_the_version_is_in_the_class_name_and_in_the_key(event: type[Event]) -> None:
    words = event.key.split(".")
    assert event.__name__.lower() == "".join(words)
    assert words[-1] == "v1"


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.key)
def test_an_event_survives_the_wire_and_ignores_what_it_does_not_know(event: Event) -> None:
    wire = json.loads(event.model_dump_json()) | {"added_later": True}
    assert type(event).model_validate(wire) == event


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.key)
def test_an_event_cannot_be_changed(event: Event) -> None:
    with pytest.raises(ValidationError):
        event.tenant_id = "another"  # type: ignore[attr-defined]  # every example has a tenant


def test_money_is_text_and_exact() -> None:
    event = make_enriched(invoice={"amount_due": Decimal("0.10"), "total": Decimal("12500.00")})
    wire = json.loads(event.model_dump_json())["invoice"]
    assert (wire["amount_due"], wire["total"]) == ("0.10", "12500.00")
    assert InvoiceEnrichedV1.model_validate_json(event.model_dump_json()).invoice.amount_due == Decimal("0.10")


@pytest.mark.parametrize("amount", ["1E+16", "-1E+16", "1E+30", "NaN", "Infinity"])
def test_what_no_invoice_is_of_is_refused(amount: str) -> None:
    """Whoever writes of it would fail at the arithmetic, again and again."""
    with pytest.raises(ValidationError):
        make_enriched(invoice={"amount_due": Decimal(amount)})


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError):
        make_xero_event(event_at=datetime(2026, 6, 23))  # noqa: DTZ001 - the point of the test


def test_a_number_that_is_not_e164_is_refused() -> None:
    with pytest.raises(ValidationError):
        make_enriched(contact={"phone": "9876543210"})


def test_a_granted_token_is_told_on_the_wire_and_nowhere_else() -> None:
    granted = TokenGranted(access_token=SecretStr("secret-token"), expires_at=datetime(2026, 6, 23, tzinfo=UTC))
    assert "secret-token" in granted.model_dump_json()
    assert "secret-token" not in repr(granted) + str(granted) + str(granted.model_dump())
