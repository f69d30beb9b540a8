"""A webhook or a request becomes the invoices' present state, for the fewest calls."""

import pytest

from shared.contracts import InvoiceEnrichedV1, OrganisationReadV1
from shared.contracts.invoices import CauseKind, NoPhoneReason
from shared.errors import PermanentError, RetryableError
from unit.fetcher.looking import Looking, collected, event, request
from unit.fetcher.samples import INDIA, NOW, TENANT, FakeXero, contact_json, gather_into, guid, invoice_json


async def test_one_event_is_one_read_with_the_contact_in_it() -> None:
    rig = Looking(FakeXero([invoice_json(1)], [contact_json(1)]))
    [enriched] = await collected(rig.look.after_event(event()))
    assert enriched.invoice.number == "INV-1"
    assert enriched.contact.phone == "+919876543210"
    assert enriched.organisation == INDIA
    assert enriched.read_at == NOW
    assert (enriched.cause.kind, enriched.cause.event_type, enriched.cause.event_at) == (
        CauseKind.WEBHOOK,
        "UPDATE",
        NOW,
    )
    assert rig.xero.invoice_calls == [(guid(1),)]
    assert rig.xero.contact_calls == []


async def test_many_are_a_batch_and_a_batch_of_contacts_and_then_no_contacts_at_all() -> None:
    invoices = [invoice_json(number, contact=number % 3) for number in range(1, 31)]
    rig = Looking(FakeXero(invoices, [contact_json(contact) for contact in range(3)]))
    ids = [guid(number) for number in range(1, 31)]
    first = await rig.after_events(*ids)
    again = await rig.after_events(*ids)
    assert {enriched.invoice.invoice_id for enriched in first} == set(ids)
    assert all(enriched.contact.phone and enriched.cause.kind is CauseKind.WEBHOOK for enriched in first + again)
    assert [len(call) for call in rig.xero.invoice_calls] == [30, 30]
    assert [len(call) for call in rig.xero.contact_calls] == [3]
    assert rig.xero.organisation_calls == 1


async def test_a_contact_event_makes_the_next_look_read_the_contact_again() -> None:
    rig = Looking(FakeXero([invoice_json(1), invoice_json(2)], [contact_json(1)]))
    await rig.after_events(guid(1), guid(2))
    rig.xero.contacts_by_id[guid(9001)] = contact_json(1, "9876500000")
    assert {enriched.contact.phone for enriched in await rig.after_events(guid(1), guid(2))} == {"+919876543210"}
    assert await collected(rig.look.after_event(event("CONTACT", guid(9001).upper()))) == []
    assert {enriched.contact.phone for enriched in await rig.after_events(guid(1), guid(2))} == {"+919876500000"}


async def test_a_look_before_sending_reads_the_contacts_anew_and_the_cache_learns_from_it() -> None:
    rig = Looking(FakeXero([invoice_json(1), invoice_json(2)], [contact_json(1)]))
    await rig.after_events(guid(1), guid(2))
    rig.xero.contacts_by_id[guid(9001)] = contact_json(1, "9876500000")
    rig.clock.advance(3600)
    looked = await collected(rig.look.on_request(request(guid(1), guid(2))))
    assert {(enriched.contact.phone, enriched.cause.kind) for enriched in looked} == {("+919876500000", CauseKind.LOOK)}
    assert {enriched.contact.phone for enriched in await rig.after_events(guid(1), guid(2))} == {"+919876500000"}
    assert [len(call) for call in rig.xero.contact_calls] == [1, 1]


async def test_a_look_at_many_reads_the_contacts_fifty_at_a_time() -> None:
    invoices = [invoice_json(number, contact=number) for number in range(120)]
    rig = Looking(FakeXero(invoices, [contact_json(contact) for contact in range(120)]))
    assert len(await collected(rig.look.on_request(request(*(guid(number) for number in range(120)))))) == 120
    assert [len(call) for call in rig.xero.contact_calls] == [50, 50, 20]


async def test_a_contact_read_in_full_replaces_an_older_one() -> None:
    rig = Looking(FakeXero([invoice_json(1), invoice_json(2)], [contact_json(1)]))
    await rig.after_events(guid(1), guid(2))
    rig.xero.contacts_by_id[guid(9001)] = contact_json(1, "9876500000")
    rig.clock.advance(60)
    await rig.after_events(guid(1))
    assert {enriched.contact.phone for enriched in await rig.after_events(guid(1), guid(2))} == {"+919876500000"}


@pytest.mark.parametrize("category", ["CREDITNOTE", "PREPAYMENT", "OVERPAYMENT", "SUBSCRIPTION"])
async def test_categories_without_use_are_counted(category: str) -> None:
    rig = Looking(FakeXero())
    assert await collected(rig.look.after_event(event(category))) == []
    assert rig.ignored == [category]


async def test_an_unknown_category_is_kept_for_a_person() -> None:
    with pytest.raises(PermanentError, match="unknown_category"):
        await collected(Looking(FakeXero()).look.after_event(event("QUOTE")))


async def test_the_others_are_published_before_one_is_missed() -> None:
    rig = Looking(FakeXero([invoice_json(1), invoice_json(2)], [contact_json(1)]))
    seen: list[InvoiceEnrichedV1] = []
    with pytest.raises(PermanentError, match="invoice_not_found"):
        await gather_into(seen, rig.look.on_request(request(guid(1), guid(7), guid(2))))
    assert sorted(enriched.invoice.invoice_id for enriched in seen) == [guid(1), guid(2)]


@pytest.mark.parametrize("not_an_id", ["../Organisation", "INV-1", f"{guid(1)},{guid(2)}", "x"])
async def test_what_is_no_id_is_never_asked_for(not_an_id: str) -> None:
    rig = Looking(FakeXero([invoice_json(1)], [contact_json(1)]))
    with pytest.raises(PermanentError, match="invoice_not_found"):
        await collected(rig.look.after_event(event(resource_id=not_an_id)))
    assert rig.xero.invoice_calls == []


async def test_capital_letters_in_an_id_mean_nothing() -> None:
    rig = Looking(FakeXero([invoice_json(1)], [contact_json(1)]))
    [enriched] = await collected(rig.look.after_event(event(resource_id=guid(1).upper())))
    assert enriched.invoice.invoice_id == guid(1)


async def test_not_found_for_a_batch_blames_no_id() -> None:
    rig = Looking(FakeXero([invoice_json(number) for number in range(1, 9)], [contact_json(1)]))
    rig.xero.longest_question = 3
    found = await collected(rig.look.on_request(request(*(guid(number) for number in range(1, 9)))))
    assert len(found) == 8
    assert [len(call) for call in rig.xero.invoice_calls] == [8, 4, 4, 2, 2, 2, 2]


async def test_one_unreadable_invoice_is_named_and_spoils_no_other() -> None:
    rig = Looking(FakeXero([invoice_json(1), invoice_json(2, AmountDue="much")], [contact_json(1)]))
    seen: list[InvoiceEnrichedV1] = []
    with pytest.raises(PermanentError) as failure:
        await gather_into(seen, rig.look.on_request(request(guid(1), guid(2))))
    assert [enriched.invoice.invoice_id for enriched in seen] == [guid(1)]
    assert str(failure.value) == "unreadable_invoice: AmountDue"


async def test_a_contacts_list_that_is_not_found_makes_no_customer_look_numberless() -> None:
    rig = Looking(FakeXero([invoice_json(number) for number in (1, 2)], [contact_json(1)]))
    rig.xero.longest_contact_question = 0
    with pytest.raises(RetryableError, match="xero_unavailable"):
        await collected(rig.look.on_request(request(guid(1), guid(2))))
    assert rig.cache.kept == {}


async def test_a_contact_that_xero_does_not_show_has_no_number() -> None:
    rig = Looking(FakeXero([invoice_json(1), invoice_json(2)]))
    rig.xero.longest_question = 50
    enriched = await collected(rig.look.on_request(request(guid(1), guid(2))))
    assert {(item.contact.status, item.contact.no_phone_reason) for item in enriched} == {
        ("UNKNOWN", NoPhoneReason.NONE_GIVEN)
    }
    assert rig.cache.kept == {}


async def test_a_passing_failure_passes_on() -> None:
    rig = Looking(FakeXero([invoice_json(1)], [contact_json(1)]))
    rig.xero.failures = [RetryableError("tenant_held", retry_after=900, counts=False)]
    with pytest.raises(RetryableError, match="tenant_held") as failure:
        await collected(rig.look.after_event(event()))
    assert (failure.value.retry_after, failure.value.counts) == (900, False)
    assert len(await collected(rig.look.after_event(event()))) == 1


async def test_a_real_reading_of_the_organisation_is_announced_once() -> None:
    rig = Looking(FakeXero([invoice_json(1)], [contact_json(1)]))
    for _ in range(3):
        await collected(rig.look.after_event(event()))
    assert rig.announced == [OrganisationReadV1(tenant_id=TENANT, organisation=INDIA, read_at=NOW)]
    await rig.organisations.read(TENANT)
    assert len(rig.announced) == 2
