"""Xero's webhook bodies as an honest sender writes them, and the ways in which a forger changes them; pure."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

Signed = tuple[bytes, dict[str, str]]
"""A body and its headers."""

SIGNATURE = "x-xero-signature"


def body_of(events: Sequence[Mapping[str, Any]], first: int, dice: Random) -> bytes:
    """One delivery, as compact as Xero's own."""
    content = {
        "events": list(events),
        "firstEventSequence": first,
        "lastEventSequence": first + len(events) - 1,
        "entropy": "".join(dice.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=20)),
    }
    return json.dumps(content, separators=(",", ":")).encode()


def event(tenant: str, invoice: str, kind: str, at: str) -> dict[str, str]:
    """One event; ``kind`` is CREATE or UPDATE, ``at`` has milliseconds and no zone."""
    return {
        "resourceUrl": f"https://api.xero.com/api.xro/2.0/Invoices/{invoice}",
        "resourceId": invoice,
        "eventDateUtc": at,
        "eventType": kind,
        "eventCategory": "INVOICE",
        "tenantId": tenant,
        "tenantType": "ORGANISATION",
    }


def signature(key: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def signed(key: str, body: bytes) -> Signed:
    return body, {"content-type": "application/json", SIGNATURE: signature(key, body)}


def _with(body: bytes, value: str | None) -> Signed:
    headers = {"content-type": "application/json"}
    return body, headers if value is None else headers | {SIGNATURE: value}


def _flip(data: bytes, dice: Random) -> bytes:
    place = dice.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << dice.randrange(7))]) + data[place + 1 :]


def _other_character(text: str, dice: Random) -> str:
    # The last character before the padding has bits that do not count.
    place = dice.randrange(len(text) - 2)
    other = dice.choice([one for one in "ABCDEFGHabcdefgh0123" if one != text[place]])
    return text[:place] + other + text[place + 1 :]


Forgery = Callable[[str, bytes, Random], Signed]

FORGERIES: Mapping[str, Forgery] = {
    "a bit of the body flipped": lambda key, body, dice: _with(_flip(body, dice), signature(key, body)),
    "one character of the signature": lambda key, body, dice: _with(body, _other_character(signature(key, body), dice)),
    "no signature": lambda key, body, dice: _with(body, None),
    "an empty signature": lambda key, body, dice: _with(body, ""),
    "another key": lambda key, body, dice: _with(body, signature(f"{key}x", body)),
    "written anew": lambda key, body, dice: _with(json.dumps(json.loads(body)).encode(), signature(key, body)),
    "half a signature": lambda key, body, dice: _with(body, signature(key, body)[:22]),
    "in hexadecimal": lambda key, body, dice: _with(body, hmac.new(key.encode(), body, hashlib.sha256).hexdigest()),
    "no base64": lambda key, body, dice: _with(body, "=" * 44),
    "another body's signature": lambda key, body, dice: _with(body, signature(key, body + b" ")),
    "the key's digest": lambda key, body, dice: _with(
        body, base64.b64encode(hashlib.sha256(key.encode() + body).digest()).decode()
    ),
    "a byte more": lambda key, body, dice: _with(body + b"\n", signature(key, body)),
}
