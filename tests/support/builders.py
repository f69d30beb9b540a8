"""Test data with sane defaults."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from shared.contracts.invoices import Cause, CauseKind, Contact, Invoice, InvoiceEnrichedV1, Organisation
from shared.contracts.scans import ScanKind, ScanRequestedV1
from shared.contracts.xero import XeroEventReceivedV1

NOON = datetime(2026, 6, 23, 12, 0, tzinfo=UTC)
TENANT = "7f2c1a52-6d3e-4f2a-9c39-0d6b2a4f1e11"
INVOICE = "1d5a1c1e-0b6f-4b1c-8d3c-5a7a3f0e9b21"
CONTACT = "9c0f8a34-2f0e-4a9d-b0a1-7c6c1f2d3e45"


def make_xero_event(**changes: Any) -> XeroEventReceivedV1:
    fields: dict[str, Any] = {
        "event_id": "event-1",
        "tenant_id": TENANT,
        "category": "INVOICE",
        "event_type": "CREATE",
        "resource_id": INVOICE,
        "event_at": NOON,
        "received_at": NOON,
    }
    return XeroEventReceivedV1(**(fields | changes))


def make_scan(**changes: Any) -> ScanRequestedV1:
    fields: dict[str, Any] = {
        "tenant_id": TENANT,
        "kind": ScanKind.RECEIVABLES,
        "local_date": date(2026, 6, 23),
        "due_before": date(2026, 6, 27),
    }
    return ScanRequestedV1(**(fields | changes))


def make_enriched(**changes: Any) -> InvoiceEnrichedV1:
    """``invoice``, ``contact``, ``organisation`` and ``cause`` take mappings of changes."""
    invoice: dict[str, Any] = {
        "invoice_id": INVOICE,
        "number": "INV-1042",
        "type": "ACCREC",
        "status": "AUTHORISED",
        "total": Decimal("12500.00"),
        "amount_due": Decimal("12500.00"),
        "amount_paid": Decimal(0),
        "amount_credited": Decimal(0),
        "currency": "INR",
        "issued_on": date(2026, 6, 9),
        "due_on": date(2026, 6, 16),
        "expected_payment_on": None,
        "updated_at": NOON,
    }
    contact: dict[str, Any] = {
        "contact_id": CONTACT,
        "name": "Asha Traders",
        "status": "ACTIVE",
        "phone": "+919876543210",
        "no_phone_reason": None,
    }
    organisation: dict[str, Any] = {
        "name": "Meera Textiles",
        "time_zone": "Asia/Kolkata",
        "country": "IN",
        "base_currency": "INR",
    }
    cause: dict[str, Any] = {"kind": CauseKind.SCAN}
    return InvoiceEnrichedV1(
        tenant_id=changes.get("tenant_id", TENANT),
        invoice=Invoice(**(invoice | changes.get("invoice", {}))),
        contact=Contact(**(contact | changes.get("contact", {}))),
        organisation=Organisation(**(organisation | changes.get("organisation", {}))),
        read_at=changes.get("read_at", NOON),
        cause=Cause(**(cause | changes.get("cause", {}))),
    )
