"""Xero's webhook body, one event an element."""

from datetime import UTC, datetime
from functools import partial

from ingress.payloads import Contents, Json, Piece, Unreadable, load_object, objects, read_pieces
from shared.contracts.xero import XeroEventReceivedV1, xero_event_id

SOURCE = "webhooks/xero"


def read_xero(body: bytes, received_at: datetime) -> Contents:
    """Any number of events of any tenants; none in an intent-to-receive handshake."""
    payload = load_object(body)
    events = payload.get("events") if payload is not None else None
    if not isinstance(events, list):
        return Contents(SOURCE, unreadable=(Unreadable(body, "unreadable_webhook"),))
    pieces = (Piece(item, "unreadable_event", partial(_event, item, received_at)) for item in objects(events))
    return Contents(SOURCE, *read_pieces(pieces))


def _event(item: Json, received_at: datetime) -> XeroEventReceivedV1:
    written = str(item.get("eventDateUtc", ""))
    category, kind = str(item["eventCategory"]).upper(), str(item["eventType"]).upper()
    tenant, resource = item["tenantId"], item["resourceId"]
    return XeroEventReceivedV1(
        event_id=xero_event_id(str(tenant), category, str(resource), written, kind),
        tenant_id=tenant,
        category=category,
        event_type=kind,
        resource_id=resource,
        event_at=_utc(written) or received_at,
        received_at=received_at,
    )


def _utc(text: str) -> datetime | None:
    """Xero writes UTC without saying so."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
