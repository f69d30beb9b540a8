"""Xero's webhook bodies and signatures, quirks included; pure functions."""

import base64
import hashlib
import hmac
import json
import random
import string
from collections.abc import Sequence
from datetime import datetime
from typing import Any

BASE64 = string.ascii_letters + string.digits + "+/"
PLURALS = {"INVOICE": "Invoices", "CONTACT": "Contacts", "CREDITNOTE": "CreditNotes"}


def sign(key: str, body: bytes) -> str:
    """The `x-xero-signature`: base64 of HMAC-SHA256, the key's text taken as it stands."""
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def one_off(signature: str, dice: random.Random, *, swap_case: bool = False) -> str:
    """The signature with exactly one character changed, still valid base64 of the same length.

    The last character before the padding is left alone: some of its bits do not count. `swap_case` changes only the
    case of a letter.
    """
    places = [i for i, char in enumerate(signature[:42]) if not swap_case or char.isalpha()]
    if not places:
        return one_off(signature, dice)
    place = dice.choice(places)
    old = signature[place]
    new = old.swapcase() if swap_case else dice.choice([char for char in BASE64 if char != old])
    return signature[:place] + new + signature[place + 1 :]


def event(
    tenant_id: str,
    resource_id: str,
    at: datetime,
    *,
    category: str = "INVOICE",
    kind: str = "UPDATE",
    data: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One thin event; its time has milliseconds and no zone."""
    name = PLURALS.get(category, category.title())
    body: dict[str, Any] = {
        "resourceUrl": f"https://api.xero.com/api.xro/2.0/{name}/{resource_id}",
        "resourceId": resource_id,
        "eventDateUtc": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}",
        "eventType": kind,
        "eventCategory": category,
        "tenantId": tenant_id,
        "tenantType": "ORGANISATION",
    }
    return body | ({"data": data} if data is not None else {})


def body_of(events: Sequence[dict[str, Any]], first: int, last: int, dice: random.Random) -> bytes:
    """A delivery: no blank after `"events":`, one after the other top-level keys."""
    entropy = "".join(dice.choices(string.ascii_uppercase, k=20))
    rows = ",".join(json.dumps(item, separators=(",", ": ")) for item in events)
    return (
        f'{{"events":[{rows}],"firstEventSequence": {first},"lastEventSequence": {last}, "entropy": "{entropy}"}}'
    ).encode()
