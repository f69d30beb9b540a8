"""Webhooks as Xero signs and sends them."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

KEY = secrets.token_hex(16)
PATH = "/webhooks/xero"
MOST_EVENTS = 100
"""That one webhook of a measurement holds."""


def body_of(events: Sequence[tuple[str, str]]) -> bytes:
    """What tells of these invoices, each with its tenant before it."""
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    rows = [
        {
            "tenantId": tenant,
            "resourceId": invoice,
            "eventCategory": "INVOICE",
            "eventType": "CREATE",
            "eventDateUtc": now,
        }
        for tenant, invoice in events
    ]
    return json.dumps({"events": rows}).encode()


def headers_of(body: bytes) -> dict[str, str]:
    signature = base64.b64encode(hmac.digest(KEY.encode(), body, hashlib.sha256)).decode()
    return {"content-type": "application/json", "x-xero-signature": signature}
