"""The admin API: settings, books, the demo book, the journal and the overview page."""

import asyncio
from datetime import date

import httpx
import phonenumbers
import pytest

from sandbox.book import CASES, NUMBERING, demo_book
from sandbox.settings import Settings
from unit.sandbox.playing import BEARER, Double
from unit.sandbox.test_whatsapp import MESSAGES, message

TODAY = date(2026, 6, 23)


async def test_settings_change_only_what_is_given_and_mask_secrets(double: Double) -> None:
    await double.admin.settings(mode="strict")
    shown = await double.admin.settings(token_life=60)
    assert (shown["mode"], shown["token_life"]) == ("strict", 60)
    assert shown["client_secret"] == "**********"
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        await double.admin.settings(token_lief=60)


def test_a_bad_value_is_refused() -> None:
    with pytest.raises(ValueError, match="mode"):
        Settings().patched({"mode": "lenient"})


async def test_reset_forgets_everything_but_settings_when_asked(double: Double) -> None:
    await double.admin.settings(mode="strict")
    await double.admin.organisation()
    await double.admin.reset(keep_settings=True)
    assert (await double.http.get("/sandbox/organisations")).json() == {"organisations": []}
    assert (await double.admin.settings())["mode"] == "strict"
    await double.admin.reset()
    assert (await double.admin.settings())["mode"] == "xero"


async def test_books_refuse_what_a_bookkeeper_could_not_do(double: Double) -> None:
    tenant = (await double.admin.organisation())["tenant_id"]
    contact = (await double.admin.contact(tenant, phone="9876543210"))["contact_id"]
    row = await double.admin.invoice(tenant, contact, issue_date=TODAY, total="100.00", status="DRAFT")
    invoice = row["invoice_id"]
    with pytest.raises(httpx.HTTPStatusError, match="DRAFT"):
        await double.admin.pay(invoice)
    await double.admin.authorise(invoice)
    assert (await double.admin.pay(invoice, "40.00"))["amount_due"] == "60.00"
    with pytest.raises(httpx.HTTPStatusError, match="void"):
        await double.admin.void(invoice)
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        await double.admin.pay(invoice, "60.01")
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        await double.admin.change_invoice(invoice, total="39.00")
    assert (await double.admin.change_invoice(invoice, credited="60.00"))["status"] == "PAID"
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await double.admin.invoice("no-such-tenant", contact, issue_date=TODAY)


@pytest.mark.parametrize("country", sorted(NUMBERING))
def test_the_demo_books_numbers_are_real_mobiles_and_never_repeat(country: str) -> None:
    entries = demo_book(country, 1) + demo_book(country, 101)
    numbers = [entry.phone for entry in entries if entry.phone]
    assert len(set(numbers)) == len(numbers)
    for number in numbers:
        parsed = phonenumbers.parse(number)
        assert phonenumbers.is_valid_number(parsed)
        assert phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.MOBILE
    for entry in entries:
        if entry.case.name == "landline only":
            line = phonenumbers.parse(entry.phones[0].number, country)
            assert phonenumbers.number_type(line) == phonenumbers.PhoneNumberType.FIXED_LINE
        assert all(len(phone.area) <= 10 for phone in entry.phones)
        if entry.expect == "remind":
            assert entry.phone is not None


async def test_the_demo_book_says_what_should_happen(double: Double) -> None:
    tenant = (await double.admin.organisation())["tenant_id"]
    rows = await double.admin.book(tenant, TODAY)
    by_case = {row["case"]: row for row in rows}
    assert len(by_case) == len(rows) >= len(CASES) + 10
    assert (by_case["due today"]["due_date"], by_case["due today"]["expect"]) == ("2026-06-23", "remind")
    assert (by_case["overdue 30 days"]["template"], by_case["overdue 30 days"]["stage"]) == (
        "invoice_overdue_final", 30,
    )  # fmt: skip
    assert (by_case["part paid"]["amount_due"], by_case["credit reduced"]["amount_due"]) == ("7500.00", "10000.00")
    assert by_case["paid"]["amount_due"] == by_case["voided"]["amount_due"].replace("0", "0.00") == "0.00"
    assert {row["expect"] for row in rows} == {"remind", "skip"}


async def test_bulk(double: Double) -> None:
    tenant = (await double.admin.organisation())["tenant_id"]
    rows = await double.admin.bulk(tenant, 30, issue_date=TODAY, due_date=TODAY)
    assert len({row["phone"] for row in rows}) == len({row["invoice_id"] for row in rows}) == 30


async def test_the_journal_is_read_by_kind_and_from_a_point_on(double: Double) -> None:
    await double.http.post(MESSAGES, json=message(), headers=BEARER)
    await double.http.post(MESSAGES, json={}, headers=BEARER)
    entries = await double.admin.journal("whatsapp")
    assert [entry["kind"] for entry in entries] == ["whatsapp.message", "whatsapp.refused"]
    assert await double.admin.journal(since=entries[0]["seq"]) == entries[1:]
    await double.admin.clear_journal()
    assert await double.admin.journal() == []
    await double.http.post(MESSAGES, json={}, headers=BEARER)
    assert (await double.admin.journal())[0]["seq"] > entries[1]["seq"]


async def test_accepted_messages_can_live_their_life_by_themselves(double: Double) -> None:
    await double.admin.settings(
        whatsapp_webhook_url="http://receiver/webhooks/whatsapp", webhook_delay=0, auto_status_delay=0,
        auto_statuses=["sent", "delivered"], whatsapp_duplicates=1, whatsapp_shuffle=True,
        undeliverable_numbers=["+919876500000"],
    )  # fmt: skip
    await double.http.post(MESSAGES, json=message(), headers=BEARER)
    await double.http.post(MESSAGES, json=message() | {"to": "+919876500000"}, headers=BEARER)
    while double.app.state.world.tasks:
        await asyncio.gather(*double.app.state.world.tasks)
    rows = await double.admin.messages()
    assert [row["statuses"] for row in rows] == [["sent", "delivered"], ["sent", "failed"]]
    sent = [
        status["status"]
        for body in double.receiver.bodies()
        for entry in body["entry"]
        for change in entry["changes"]
        for status in change["value"]["statuses"]
    ]
    assert sorted(sent) == sorted(2 * ["delivered", "failed", "sent", "sent"])


async def test_the_overview_shows_messages_as_bubbles_and_no_secret(double: Double) -> None:
    await double.admin.organisation("A & B")
    await double.http.post(MESSAGES, json=message(contact_name="<i>Asha</i>"), headers=BEARER)
    page = await double.http.get("/")
    assert "A &amp; B" in page.text
    assert "Hello &lt;i&gt;Asha&lt;/i&gt;" in page.text
    assert "sandbox-secret" not in page.text
