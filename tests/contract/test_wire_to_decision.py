"""What a bookkeeper means, through Xero's JSON and our event, is what the notifier decides on."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.adapters.answers import read_answer
from fetcher.mapping import invoice_row, organisation
from fetcher.time_zones import IANA_NAMES
from notifier.stages import local_date
from sandbox.books import Contact as BookContact
from sandbox.books import Invoice as BookInvoice
from sandbox.books import Organisation as BookOrganisation
from sandbox.books import Payment
from sandbox.xero.shapes import envelope, invoice_json, organisation_json
from shared.contracts.invoices import Invoice, Organisation
from support.builders import NOON, TENANT

ID = "1d5a1c1e-0b6f-4b1c-8d3c-5a7a3f0e9b21"
CONTACT = BookContact(ID, TENANT, "Asha", "", "", "", "ACTIVE", [], "", NOON)
XERO_ZONES = st.sampled_from(sorted(IANA_NAMES))
money = st.decimals(min_value=0, max_value=Decimal(10**9), places=2, allow_nan=False)


def read(invoice: BookInvoice) -> Invoice:
    """As the notifier gets it: written as Xero does, read by the fetcher, published."""
    text = json.dumps(envelope(NOON, Invoices=[invoice_json(invoice, CONTACT, full=False, lines=False)]))
    answer = read_answer(httpx.Response(200, text=text, headers={"Content-Type": "application/json"}), NOON)
    assert answer is not None
    return Invoice.model_validate_json(invoice_row(answer.body["Invoices"][0]).invoice.model_dump_json())


def booked(total: Decimal = Decimal(1), currency: str = "INR", due: date = date(2026, 6, 23)) -> BookInvoice:
    return BookInvoice(ID, TENANT, ID, "INV-1", "ACCREC", "AUTHORISED", due, due, currency, total, NOON)


@given(money, money, money, st.sampled_from(["INR", "JPY", "KWD"]))
@example(Decimal("0.30"), Decimal("0.10"), Decimal("0.20"), "INR")
@example(Decimal("999999999.99"), Decimal("0.01"), Decimal("0.01"), "INR")
def test_part_payments_and_credit_notes_leave_what_is_due_to_the_cent(
    due: Decimal, paid: Decimal, credited: Decimal, currency: str
) -> None:
    invoice = booked(due + paid + credited, currency)
    invoice.credited = credited
    invoice.payments = [Payment(ID, date(2026, 6, 20), paid / 2), Payment(ID, date(2026, 6, 21), paid - paid / 2)]
    found = read(invoice)
    assert (found.amount_due, found.amount_paid, found.amount_credited) == (due, paid, credited)
    assert found.total - found.amount_paid - found.amount_credited == found.amount_due


@given(XERO_ZONES, st.dates(date(2012, 1, 1), date(2099, 12, 31)))
@example("NEWZEALANDSTANDARDTIME", date(2026, 9, 27))
@example("GMTSTANDARDTIME", date(2026, 3, 29))
@example("UTC11", date(2026, 6, 23))
def test_an_invoice_is_overdue_from_the_midnight_after_its_day_in_the_organisations_zone(zone: str, due: date) -> None:
    raw = organisation_json(BookOrganisation(TENANT, "Asha", "IN", zone, "INR", NOON))
    found, unknown_zone = organisation({"Organisations": [raw]})
    assert unknown_zone is None
    name = Organisation.model_validate_json(found.model_dump_json()).time_zone
    due_on = read(booked(due=due)).due_on
    assert due_on == due
    # Noon is on every wall; the clocks may skip a day's midnight, or show it twice.
    noon = datetime.combine(due, time(12), ZoneInfo(name)).astimezone(UTC)
    quarters = (noon + timedelta(minutes=15 * number) for number in range(100))
    late = next(moment for moment in quarters if (local_date(moment, name) - due_on).days > 0)
    assert (local_date(noon, name) - due_on).days == 0
    assert timedelta(hours=10) < late - noon <= timedelta(hours=13)
