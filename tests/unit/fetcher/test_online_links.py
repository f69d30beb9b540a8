"""Links: one call per invoice, none where there can be none, and nothing waits for what cannot be had."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from fetcher.online_links import OnlineLinks
from fetcher.ports import Link
from fetcher.readings import Reading
from shared.contracts import InvoiceEnrichedV1, InvoiceLookRequestedV1
from shared.errors import RetryableError
from unit.fetcher.looking import Looking, collected, request
from unit.fetcher.samples import NOW, TENANT, FakeXero, Rig, contact_json, guid, invoice_json

DAY_SPENT = RetryableError("day_limit", retry_after=40_000, counts=False)


def books(count: int = 3) -> FakeXero:
    return FakeXero([invoice_json(number) for number in range(1, count + 1)], [contact_json(1)])


async def looked(rig: Looking, *numbers: int) -> dict[str, InvoiceEnrichedV1]:
    asked = request(*map(guid, numbers), with_link=True)
    found = await collected(rig.look.on_request(asked))
    return {enriched.invoice.number: enriched for enriched in found}


async def test_a_look_with_link_brings_every_invoices_link_in_one_call_each() -> None:
    rig = Looking(books())
    found = await looked(rig, 1, 2, 3)
    assert {enriched.invoice.online_url for enriched in found.values()} == {
        f"https://in.xero.com/{guid(number)}" for number in (1, 2, 3)
    }
    assert {enriched.invoice.no_link_reason for enriched in found.values()} == {None}
    assert [len(call) for call in rig.xero.invoice_calls] == [3]
    assert rig.xero.link_calls == [guid(1), guid(2), guid(3)]
    await looked(rig, 1, 2, 3)
    assert len(rig.xero.link_calls) == 3
    assert rig.link_outcomes == ["asked"] * 3 + ["kept"] * 3


async def test_a_look_without_and_an_event_ask_for_no_link() -> None:
    rig = Looking(books())
    [enriched] = await collected(rig.look.on_request(request(guid(1))))
    [after] = await rig.after_events(guid(2))
    assert {(seen.invoice.online_url, seen.invoice.no_link_reason) for seen in (enriched, after)} == {(None, None)}
    assert rig.xero.link_calls == []


def test_a_request_of_an_older_notifier_asks_for_no_link() -> None:
    old = '{"tenant_id": "t", "invoice_ids": ["i"], "reason": "before_sending"}'
    assert InvoiceLookRequestedV1.model_validate_json(old).with_link is False


@pytest.mark.parametrize(
    "changes", [{"Status": "DRAFT"}, {"Status": "VOIDED"}, {"Status": "SUBMITTED"}, {"Type": "ACCPAY"}]
)
async def test_what_has_no_page_is_not_asked_for(changes: dict[str, Any]) -> None:
    rig = Looking(FakeXero([invoice_json(1, **changes)], [contact_json(1)]))
    found = await looked(rig, 1)
    assert found["INV-1"].invoice.no_link_reason == "not_offered"
    assert rig.xero.link_calls == []


async def test_an_invoice_without_a_page_and_an_address_elsewhere_are_asked_for_once() -> None:
    rig = Looking(books())
    rig.xero.pages = {guid(1): None, guid(2): "https://in.xero.com.evil.example/x"}
    for _ in range(2):
        found = await looked(rig, 1, 2, 3)
        assert [found[f"INV-{number}"].invoice.no_link_reason for number in (1, 2)] == ["not_offered", "unsafe_address"]
        assert found["INV-3"].invoice.online_url
    assert sorted(rig.xero.link_calls) == [guid(1), guid(2), guid(3)]


async def test_a_spent_day_refuses_all_links_after_one_question_and_no_invoice() -> None:
    rig = Looking(books(40))
    rig.xero.pages = {guid(number): DAY_SPENT for number in range(1, 41)}
    found = await looked(rig, *range(1, 41))
    assert {enriched.invoice.no_link_reason for enriched in found.values()} == {"day_limit"}
    assert len(found) == 40
    assert len(rig.xero.link_calls) == 1
    assert rig.link_cache.kept == {}


async def test_a_refusal_of_one_tenant_is_none_of_another_and_ends() -> None:
    rig = Rig(books())
    links = OnlineLinks(rig.xero, rig.link_cache, rig.link_outcomes.append, refused_seconds=0.05)
    rig.xero.pages = {guid(1): DAY_SPENT}
    assert await linked(links, await readings(rig, 1)) == [Link(reason="day_limit")]
    assert (await linked(links, await readings(rig, 2), "another"))[0].url
    await asyncio.sleep(0.06)
    assert (await linked(links, await readings(rig, 2)))[0].url


async def test_two_who_ask_at_once_share_one_call() -> None:
    rig = Looking(books())
    await asyncio.gather(looked(rig, 1), looked(rig, 1), looked(rig, 1, 2))
    assert sorted(rig.xero.link_calls) == [guid(1), guid(2)]


async def test_known_links_do_not_wait_for_unknown_ones() -> None:
    rig = Looking(books())
    rig.link_cache.kept[guid(3)] = Link(url="https://in.xero.com/kept")
    outcomes = [
        enriched.invoice.number
        async for enriched in rig.look.on_request(request(*map(guid, (1, 2, 3)), with_link=True))
    ]
    assert outcomes[0] == "INV-3"


async def test_who_cannot_have_a_turn_in_time_goes_without() -> None:
    rig = Rig(books())
    links = OnlineLinks(rig.xero, rig.link_cache, rig.link_outcomes.append, patience_seconds=0)
    # What is at hand is given all the same.
    rig.link_cache.kept[guid(1)] = Link(url="https://in.xero.com/kept")
    waiting = await readings(rig, 1, 3)
    rig.xero.answering.clear()
    first = asyncio.create_task(linked(links, await readings(rig, 2)))
    await asyncio.sleep(0)
    assert await linked(links, waiting) == [Link(url="https://in.xero.com/kept"), Link(reason="too_slow")]
    rig.xero.answering.set()
    assert (await first)[0].url
    assert rig.xero.link_calls == [guid(2)]


async def readings(rig: Rig, *numbers: int) -> list[Reading]:
    found = await rig.reader.read(TENANT, lambda: [guid(number) for number in numbers])
    return [reading for reading in found.values() if isinstance(reading, Reading) and reading.read_at == NOW]


async def linked(links: OnlineLinks, found: Sequence[Reading], tenant_id: str = TENANT) -> list[Link]:
    invoices = [reading.invoice async for reading in links.added_to(tenant_id, found)]
    return [Link(invoice.online_url, invoice.no_link_reason) for invoice in invoices]
