"""The page: what it shows, what its forms do, and whose forms it takes."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from sandbox.pages.countries import local_day, local_time, same_number
from unit.sandbox.playing import BEARER, Double
from unit.sandbox.test_whatsapp import MESSAGES, message

HERE = {"origin": "http://sandbox", "sec-fetch-site": "same-origin"}


async def press(double: Double, act: str, **fields: str) -> str:
    """Send a form as the page would and return the page seen afterwards."""
    answer = await double.http.post(f"/page/{act}", data=fields, headers=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    return (await double.http.get("/")).text


async def issue(double: Double, tenant: str, **changes: str) -> str:
    fields = {"contact": "Ravi Kumar", "phone": "098765 43210", "total": "2500.00", "days": "-3"} | changes
    return await press(double, "invoice", tenant_id=tenant, **fields)


async def only_invoice(double: Double) -> dict[str, str]:
    world = double.app.state.world
    (found,) = (row.invoice_id for rows in world.books.invoices.values() for row in rows.values())
    row: dict[str, str] = (await double.http.get(f"/sandbox/invoices/{found}")).json()
    return row


async def settle(double: Double) -> None:
    while double.app.state.world.tasks:
        await asyncio.gather(*double.app.state.world.tasks)


async def test_everything_shown_is_escaped_and_secrets_are_not_shown(double: Double) -> None:
    tenant = (await double.admin.organisation("<b>A & B</b>", tenant_id='"><script>'))["tenant_id"]
    await issue(double, tenant, contact="<i>Ravi</i>")
    await double.admin.inbound("+919876543210", "<u>STOP</u>")
    await double.http.post(MESSAGES, json=message(contact_name="<i>Asha</i>"), headers=BEARER)
    for address in ("/", "/page/phones", "/page/organisations"):
        text = (await double.http.get(address)).text
        assert [part for part in ("<b>A & B", "<i>Ravi", "<u>STOP", "<i>Asha", '"><script>') if part in text] == []
        assert "sandbox-secret" not in text
    page = await double.http.get("/")
    assert "&lt;b&gt;A &amp; B&lt;/b&gt;" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


async def test_a_country_brings_its_time_zone_and_currency(double: Double) -> None:
    assert "make connect-link" in (await double.http.get("/")).text
    await press(double, "organisation", name="Harbour", country="AU")
    (row,) = (await double.http.get("/sandbox/organisations")).json()["organisations"]
    assert (row["name"], row["timezone"], row["currency"]) == ("Harbour", "AUSEASTERNSTANDARDTIME", "AUD")
    assert "Not done" in await press(double, "organisation", name="Atlantis", country="XX")


async def test_the_hint_goes_once_an_organisation_is_connected(double: Double) -> None:
    tenant = (await double.admin.organisation())["tenant_id"]
    assert "not connected" in (await double.http.get("/page/organisations")).text
    await double.connect(tenant)
    text = (await double.http.get("/page/organisations")).text
    assert "not connected" not in text
    assert "make connect-link" not in text


async def test_issuing_an_invoice_makes_the_contact_and_queues_a_webhook(double: Double) -> None:
    await double.admin.settings(webhook_url="http://receiver/webhooks/xero", webhook_delay=0)
    tenant = (await double.admin.organisation())["tenant_id"]
    assert "INV-0001 to Ravi Kumar is issued, due 20 June 2026." in await issue(double, tenant)
    await settle(double)
    invoice = await only_invoice(double)
    assert (invoice["due_date"], invoice["amount_due"]) == ("2026-06-20", "2500.00")
    (told,) = double.receiver.bodies()
    assert [(item["resourceId"], item["eventType"]) for item in told["events"]] == [(invoice["invoice_id"], "CREATE")]


async def test_a_known_contact_is_used_again_and_takes_a_new_number(double: Double) -> None:
    tenant = (await double.admin.organisation())["tenant_id"]
    await issue(double, tenant)
    await issue(double, tenant, contact="ravi kumar", phone="+91 98765 43210")
    await issue(double, tenant, phone="091234 56789")
    (contact,) = double.app.state.world.books.contacts[tenant].values()
    assert [phone.number for phone in contact.phones] == ["091234 56789"]
    assert len(double.app.state.world.books.invoices[tenant]) == 3


@pytest.mark.parametrize("wrong", [{"total": "-1"}, {"days": "soon"}, {"contact": " "}, {"tenant_id": "unknown"}])
async def test_a_wrong_form_changes_nothing_and_says_so(double: Double, wrong: dict[str, str]) -> None:
    tenant = (await double.admin.organisation())["tenant_id"]
    fields = {"tenant_id": tenant, "contact": "Ravi", "phone": "", "total": "1", "days": "0"} | wrong
    assert "Not done" in await press(double, "invoice", **fields)
    assert not double.app.state.world.books.contacts[tenant]


async def test_invoices_are_authorised_paid_and_voided(double: Double) -> None:
    tenant = (await double.admin.organisation())["tenant_id"]
    await issue(double, tenant)
    invoice = (await only_invoice(double))["invoice_id"]
    assert 'action="/page/pay"' in (await double.http.get("/")).text
    assert "INV-0001 is paid." in await press(double, "pay", invoice_id=invoice)
    assert (await only_invoice(double))["status"] == "PAID"
    assert 'action="/page/pay"' not in (await double.http.get("/")).text
    assert "Not done" in await press(double, "void", invoice_id=invoice)


async def test_the_demo_book_is_of_the_organisations_own_today(double: Double) -> None:
    double.clock.now = datetime(2026, 6, 23, 20, 0, tzinfo=UTC)
    tenant = (await double.admin.organisation())["tenant_id"]
    assert "deserve a message" in await press(double, "book", tenant_id=tenant)
    invoices = double.app.state.world.books.invoices[tenant].values()
    names = double.app.state.world.books.contacts[tenant]
    (due,) = (row.due_date for row in invoices if names[row.contact_id].name.startswith("Due Today"))
    assert str(due) == "2026-06-24"


async def test_a_phone_receives_reads_and_writes_back(double: Double) -> None:
    await double.admin.settings(whatsapp_webhook_url="http://receiver/webhooks/whatsapp")
    tenant = (await double.admin.organisation())["tenant_id"]
    await issue(double, tenant)
    answer = await double.http.post(MESSAGES, json=message(), headers=BEARER)
    wamid = answer.json()["messages"][0]["id"]
    chat = (await double.http.get("/page/phones")).text
    assert "<b>Ravi Kumar</b>" in chat
    assert chat.count('action="/page/status"') == 2
    assert "Status read: the webhook was taken." in await press(double, "status", wamid=wamid, status="read")
    assert 'class="ticks read"' in (await double.http.get("/page/phones")).text
    await press(double, "write", **{"from": "+919876543210", "name": "Ravi Kumar", "text": "STOP"})
    value = double.receiver.bodies()[-1]["entry"][0]["changes"][0]["value"]
    assert (value["messages"][0]["text"]["body"], value["contacts"][0]["profile"]["name"]) == ("STOP", "Ravi Kumar")


async def test_hands_are_shaken_with_a_verdict(double: Double) -> None:
    assert "failed. no whatsapp_webhook_url is set" in await press(double, "verify")
    await double.admin.settings(webhook_url="http://receiver/x", whatsapp_webhook_url="http://receiver/w")
    assert "passed." in await press(double, "verify")
    double.receiver.status = 500
    assert "Response not 200" in await press(double, "handshake")
    double.receiver.status = None
    assert "passed." in await press(double, "handshake")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://elsewhere"},
        {"origin": "null"},
        {"origin": "http://sandbox", "sec-fetch-site": "cross-site"},
        {"origin": "http://sandbox:81", "sec-fetch-site": "same-site"},
        {"origin": "http://elsewhere", "sec-fetch-site": "same-origin"},
    ],
)
async def test_a_form_from_another_site_is_refused(double: Double, headers: dict[str, str]) -> None:
    answer = await double.http.post("/page/organisation", data={"name": "A", "country": "IN"}, headers=headers)
    assert answer.status_code == 403
    assert not double.app.state.world.books.organisations


async def test_an_unknown_form_is_not_found(double: Double) -> None:
    answer: httpx.Response = await double.http.post("/page/erase", headers=HERE)
    assert answer.status_code == 404


def test_days_times_and_numbers_are_those_of_the_place() -> None:
    late = datetime(2026, 6, 23, 20, 0, tzinfo=UTC)
    assert str(local_day(late, "INDIASTANDARDTIME", "IN")) == "2026-06-24"
    assert str(local_day(late, "SOMEWHEREELSE", "GB")) == "2026-06-23"
    assert local_time(late, "+919876543210") == "24 Jun, 01:30"
    assert local_time(late, "+15550100001") == "23 Jun, 20:00 UTC"
    assert same_number("(098765) 43210", "+919876543210")
    assert not same_number("543210", "+919876543210")
