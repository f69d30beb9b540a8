"""Xero's webhook body, one event an element."""

from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import ValidationError

from ingress.payloads import Contents, Json, Unreadable, encoded, load_object
from shared.contracts.xero import XeroEventReceivedV1, xero_event_id

SOURCE = "webhooks/xero"


def read_xero(body: bytes, received_at: datetime) -> Contents:
    """Any number of events of any tenants; none in an intent-to-receive handshake."""
    payload = load_object(body)
    events = payload.get("events") if payload is not None else None
    if not isinstance(events, list):
        return Contents(SOURCE, unreadable=(Unreadable(body, "unreadable_webhook"),))
    readable: list[XeroEventReceivedV1] = []
    unreadable: list[Unreadable] = []
    for item in _unwrapped(events):
        try:
            readable.append(_event(item, received_at))
        except (ValidationError, TypeError, KeyError):
            unreadable.append(Unreadable(encoded(item), "unreadable_event"))
    return Contents(SOURCE, tuple(readable), tuple(unreadable))


def _unwrapped(events: list[object]) -> Iterator[Json]:
    for item in events:
        yield item if isinstance(item, dict) else {"value": item}


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
