"""What is made of a Xero webhook's body."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ingress.xero import read_xero
from shared.contracts.xero import XeroEventReceivedV1
from support.builders import NOON


def element(**changes: Any) -> dict[str, Any]:
    return {
        "resourceUrl": "https://api.xero.com/api.xro/2.0/Invoices/inv-1",
        "resourceId": "inv-1",
        "eventDateUtc": "2026-06-23T11:59:58.923",
        "eventType": "CREATE",
        "eventCategory": "INVOICE",
        "tenantId": "tenant-1",
        "tenantType": "ORGANISATION",
    } | changes


def body(*events: object) -> bytes:
    return json.dumps({"events": list(events), "firstEventSequence": 1, "lastEventSequence": 2}).encode()


def events_of(raw: bytes) -> list[XeroEventReceivedV1]:
    contents = read_xero(raw, NOON)
    assert contents.unreadable == ()
    assert all(isinstance(event, XeroEventReceivedV1) for event in contents.events)
    return [event for event in contents.events if isinstance(event, XeroEventReceivedV1)]


def test_every_element_is_an_event_of_its_own_tenant() -> None:
    events = events_of(body(element(), element(tenantId="tenant-2", resourceId="inv-2")))
    assert [(event.tenant_id, event.resource_id) for event in events] == [("tenant-1", "inv-1"), ("tenant-2", "inv-2")]


def test_a_time_without_a_zone_is_utc() -> None:
    assert events_of(body(element()))[0].event_at == datetime(2026, 6, 23, 11, 59, 58, 923000, tzinfo=UTC)


def test_an_unreadable_time_costs_nothing_but_the_time() -> None:
    assert events_of(body(element(eventDateUtc="yesterday")))[0].event_at == NOON


def test_the_same_event_has_the_same_id_and_another_has_another() -> None:
    first, again, other = events_of(body(element(), element(), element(eventType="UPDATE")))
    assert first.event_id == again.event_id != other.event_id


def test_categories_and_types_are_compared_in_upper_case_and_new_ones_pass() -> None:
    events = events_of(body(element(eventCategory="Invoice", eventType="Update"), element(eventCategory="QUOTE")))
    assert [(event.category, event.event_type) for event in events] == [("INVOICE", "UPDATE"), ("QUOTE", "CREATE")]


def test_a_handshake_has_no_events() -> None:
    contents = read_xero(b'{"events":[],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "ABCDEFGHIJ"}', NOON)
    assert (contents.events, contents.unreadable) == ((), ())


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'{"events": {}}', b"\xff\xfe", b"[" * 100_000, b'{"events": null}']
)
def test_signed_garbage_is_kept_whole(raw: bytes) -> None:
    contents = read_xero(raw, NOON)
    assert contents.events == ()
    assert [(piece.body, piece.reason) for piece in contents.unreadable] == [(raw, "unreadable_webhook")]


ODD = [
    7,
    "text",
    None,
    {},
    element(tenantId=None),
    element(resourceId=""),
    element(tenantId="x" * 500),
    element(resourceId="\ud83d"),
    element(eventDateUtc="0001-01-01T00:00:00+05:30"),
]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_an_odd_element_is_kept_and_its_neighbours_pass(odd: object) -> None:
    contents = read_xero(body(element(), odd, element(resourceId="inv-2")), NOON)
    assert len(contents.events) == 2
    assert [piece.reason for piece in contents.unreadable] == ["unreadable_event"]
