"""Twilio's webhook body: one status of one message, or one message of a person, as a form."""

import re
from datetime import datetime
from functools import partial
from urllib.parse import parse_qs
from uuid import NAMESPACE_URL, uuid5

from ingress.payloads import Contents, Json, Piece, Unreadable, form_of, read_pieces
from shared.contracts.whatsapp import WhatsAppUpdateKind, WhatsAppUpdateReceivedV1

SOURCE = "webhooks/twilio"
TWILIO_BYTES = 256 * 1024
"""A status is about 1 KB; a person's message is at most 4,096 characters, each of up to twelve bytes in a form."""
PROVIDER = "twilio"
_REFERENCE = "ref"
_CHANNEL = "whatsapp:"
_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_E164 = re.compile(r"\+[1-9]\d{6,14}")


def read_twilio(body: bytes, received_at: datetime, query: str) -> Contents:
    """One update; our reference is in the query of the address that a message's statuses are sent to."""
    form = form_of(body)
    if not form:
        return Contents(SOURCE, unreadable=(Unreadable(body, "unreadable_webhook"),))
    item = dict(form)
    reference = parse_qs(query).get(_REFERENCE, [None])[0]
    kind = WhatsAppUpdateKind.STATUS if item.get("MessageStatus") else WhatsAppUpdateKind.MESSAGE
    read = partial(_status if kind is WhatsAppUpdateKind.STATUS else _message, item, reference, received_at)
    return Contents(SOURCE, *read_pieces([Piece(item, f"unreadable_{kind}", read)]))


def _status(item: Json, reference: str | None, received_at: datetime) -> WhatsAppUpdateReceivedV1:
    sid, status = _sid(item), str(item["MessageStatus"]).lower()
    code = str(item.get("ErrorCode") or "")
    return WhatsAppUpdateReceivedV1(
        update_id=_update_id(sid, status),
        kind=WhatsAppUpdateKind.STATUS,
        phone_number_id=_number(item.get("From")),
        provider_message_id=sid,
        # Twilio does not tell when it happened.
        happened_at=received_at,
        received_at=received_at,
        status=status,
        reference=reference,
        person_phone=_number(item.get("To")),
        provider=PROVIDER,
        error_code=int(code) if code.isdecimal() else None,
        raw=dict(item),
    )


def _message(item: Json, _: str | None, received_at: datetime) -> WhatsAppUpdateReceivedV1:
    sid = _sid(item)
    return WhatsAppUpdateReceivedV1(
        update_id=_update_id(sid, None),
        kind=WhatsAppUpdateKind.MESSAGE,
        phone_number_id=_number(item.get("To")),
        provider_message_id=sid,
        happened_at=received_at,
        received_at=received_at,
        person_phone=_number(item.get("From")) or _number(f"{_CHANNEL}+{item.get('WaId', '')}"),
        text=item.get("Body") or item.get("ButtonText") or None,
        button_payload=item.get("ButtonPayload") or None,
        reply_to=item.get("OriginalRepliedMessageSid") or None,
        provider=PROVIDER,
        raw=dict(item),
    )


def _sid(item: Json) -> str:
    """Of no other form than Twilio's, so that it is never taken for another provider's id."""
    sid = str(item["MessageSid"])
    if not _SID.fullmatch(sid):
        raise ValueError("no message sid")
    return sid


def _update_id(sid: str, status: str | None) -> str:
    return str(uuid5(NAMESPACE_URL, f"{PROVIDER}\n{sid}\n{status}"))


def _number(address: object) -> str | None:
    """``whatsapp:+919876543210`` → ``+919876543210``; None for anything else."""
    number = str(address or "").removeprefix(_CHANNEL)
    return number if _E164.fullmatch(number) else None
