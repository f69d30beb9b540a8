"""The accounting API: its checks, limits, lists, and the shape of its answers."""

import re
from datetime import date
from typing import Any

import pytest

from unit.sandbox.playing import Double

TODAY = date(2026, 6, 23)
API = "/api.xro/2.0"
ENVELOPE = {"Id", "Status", "ProviderName", "DateTimeUTC"}
INVOICE = {
    "Type", "InvoiceID", "InvoiceNumber", "Reference", "AmountDue", "AmountPaid", "AmountCredited", "IsDiscounted",
    "HasErrors", "Contact", "DateString", "Date", "DueDateString", "DueDate", "Status", "LineAmountTypes", "SubTotal",
    "TotalTax", "Total", "UpdatedDateUTC", "UpdatedDateUTCString", "CurrencyCode",
}  # fmt: skip
DETAILS = {"LineItems", "Payments", "HasAttachments"}
STUB = {"ContactID", "Name", "Addresses", "Phones", "ContactGroups", "ContactPersons", "HasValidationErrors"}
MS_DATE = re.compile(r"/Date\(-?\d+(\+0000)?\)/")


@pytest.fixture
async def book(double: Double) -> dict[str, Any]:
    tenant = (await double.admin.organisation())["tenant_id"]
    rows = await double.admin.book(tenant, TODAY)
    return {"tenant": tenant, "rows": rows, "headers": await double.connect(tenant)}


async def get(double: Double, book: dict[str, Any], path: str, **query: Any) -> Any:
    answer = await double.http.get(API + path, params=query, headers=book["headers"])
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_list_carries_reduced_contacts_and_paging(double: Double, book: dict[str, Any]) -> None:
    body = await get(double, book, "/Invoices", page=1, pageSize=5)
    assert set(body) == ENVELOPE | {"pagination", "Invoices"}
    assert body["pagination"] == {"page": 1, "pageSize": 5, "pageCount": 7, "itemCount": 34}
    for row in body["Invoices"]:
        assert row.keys() >= INVOICE | DETAILS
        assert set(row["Contact"]) == STUB
        assert [row["Contact"][name] for name in ("Phones", "Addresses", "ContactGroups", "ContactPersons")] == [[]] * 4
        assert all(MS_DATE.fullmatch(row[name]) for name in ("Date", "DueDate", "UpdatedDateUTC"))


async def test_a_single_invoice_carries_the_whole_contact(double: Double, book: dict[str, Any]) -> None:
    [row] = (await get(double, book, f"/Invoices/{book['rows'][0]['invoice_id']}"))["Invoices"]
    assert row.keys() >= INVOICE | DETAILS
    assert row["LineItems"]
    assert {phone["PhoneType"] for phone in row["Contact"]["Phones"]} == {"DDI", "DEFAULT", "FAX", "MOBILE"}
    by_number = (await get(double, book, f"/Invoices/{row['InvoiceNumber']}"))["Invoices"]
    assert by_number[0]["InvoiceID"] == row["InvoiceID"]


async def test_summary_only_pages_and_drops_lines(double: Double, book: dict[str, Any]) -> None:
    body = await get(double, book, "/Invoices", summaryOnly="true", Statuses="AUTHORISED")
    assert body["pagination"]["pageSize"] == 100
    assert all(DETAILS.isdisjoint(row) and row["Status"] == "AUTHORISED" for row in body["Invoices"])


async def test_without_a_page_there_are_no_lines(double: Double, book: dict[str, Any]) -> None:
    body = await get(double, book, "/Invoices")
    assert "pagination" not in body
    assert all(row["LineItems"] == [] for row in body["Invoices"])


async def test_the_organisation(double: Double, book: dict[str, Any]) -> None:
    [row] = (await get(double, book, "/Organisation"))["Organisations"]
    assert (row["Timezone"], row["CountryCode"], row["BaseCurrency"]) == ("INDIASTANDARDTIME", "IN", "INR")
    assert row["OrganisationID"] == book["tenant"]


async def test_archived_and_erased_contacts_come_only_when_asked_for(double: Double, book: dict[str, Any]) -> None:
    hidden = {row["contact_id"] for row in book["rows"] if row["case"] in {"archived contact", "erased contact"}}
    ids = ",".join(sorted(hidden))
    assert (await get(double, book, "/Contacts", IDs=ids))["Contacts"] == []
    shown = (await get(double, book, "/Contacts", IDs=ids, includeArchived="true"))["Contacts"]
    assert {row["ContactStatus"] for row in shown} == {"ARCHIVED", "GDPRREQUEST"}


async def test_groups_are_told_in_pages_and_single_reads_of_contacts_only(double: Double, book: dict[str, Any]) -> None:
    known = (await double.admin.contact(book["tenant"], groups=["No Reminders"]))["contact_id"]
    paged = (await get(double, book, "/Contacts", IDs=known, page=1))["Contacts"]
    alone = (await get(double, book, f"/Contacts/{known}"))["Contacts"]
    bare = (await get(double, book, "/Contacts", IDs=known))["Contacts"]
    names = [[group["Name"] for group in found[0]["ContactGroups"]] for found in (paged, alone, bare)]
    assert names == [["No Reminders"], ["No Reminders"], []]


async def test_unknown_ids_are_left_out_in_silence(double: Double, book: dict[str, Any]) -> None:
    known = book["rows"][0]["invoice_id"]
    body = await get(double, book, "/Invoices", IDs=f"{known},00000000-0000-0000-0000-000000000000", page=1)
    assert [row["InvoiceID"] for row in body["Invoices"]] == [known]


async def test_a_parameter_xero_does_not_have_is_a_breach(double: Double, book: dict[str, Any]) -> None:
    for query in ("DueDateFrom=2026-01-01", "page=1&page=2"):
        answer = await double.http.get(f"{API}/Invoices?{query}", headers=book["headers"])
        assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 10)
    assert await double.breaches() == ["unknown_parameter"] * 2


async def test_a_query_above_2048_characters_is_not_found(double: Double, book: dict[str, Any]) -> None:
    ids = [row["invoice_id"] for row in book["rows"]] * 2
    fits = "%2C".join(ids[:52])
    assert (await double.http.get(f"{API}/Invoices?IDs={fits}", headers=book["headers"])).status_code == 200
    answer = await double.http.get(f"{API}/Invoices?IDs={'%2C'.join(ids[:53])}", headers=book["headers"])
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (404, "text/plain")
    assert await double.breaches() == ["query_too_long"]


async def test_modified_since_takes_one_format(double: Double, book: dict[str, Any]) -> None:
    url, headers = f"{API}/Invoices", book["headers"]
    double.clock.forward(10)
    await double.admin.pay(book["rows"][0]["invoice_id"], event=False)
    since = {"if-modified-since": double.clock().strftime("%Y-%m-%dT%H:%M:%S")}
    rows = (await double.http.get(url, headers=headers | since)).json()["Invoices"]
    assert [(row["InvoiceID"], row["Status"]) for row in rows] == [(book["rows"][0]["invoice_id"], "PAID")]
    wrong = {"if-modified-since": "Tue, 23 Jun 2026 06:30:00 GMT"}
    assert (await double.http.get(url, headers=headers | wrong)).status_code == 400


async def test_a_due_date_moved_on_a_part_paid_invoice_goes_unseen(double: Double, book: dict[str, Any]) -> None:
    await double.admin.settings(webhook_url="http://receiver/webhooks/xero")
    part_paid = next(row for row in book["rows"] if row["case"] == "part paid")
    other = next(row for row in book["rows"] if row["case"] == "overdue 7 days")
    double.clock.forward(10)
    moved = await double.admin.change_invoice(part_paid["invoice_id"], due_date="2026-07-01")
    assert (moved["due_date"], moved["updated"]) == ("2026-07-01", part_paid["updated"])
    assert double.app.state.world.xero_webhooks.backlog == []
    seen = await double.admin.change_invoice(other["invoice_id"], due_date="2026-07-01")
    assert seen["updated"] > other["updated"]


async def test_online_invoice_and_pdf(double: Double, book: dict[str, Any]) -> None:
    path = f"/Invoices/{book['rows'][0]['invoice_id']}"
    [row] = (await get(double, book, f"{path}/OnlineInvoice"))["OnlineInvoices"]
    assert row["OnlineInvoiceUrl"].startswith("https://in.xero.com/")
    pdf = await double.http.get(API + path, headers=book["headers"] | {"accept": "application/pdf"})
    assert pdf.content.startswith(b"%PDF-")
    draft = next(row for row in book["rows"] if row["case"] == "draft")["invoice_id"]
    answer = await double.http.get(f"{API}/Invoices/{draft}/OnlineInvoice", headers=book["headers"])
    assert answer.status_code == 400


async def test_without_an_accept_for_json_the_answer_is_xml(double: Double, book: dict[str, Any]) -> None:
    answer = await double.http.get(f"{API}/Organisation", headers=book["headers"] | {"accept": "*/*"})
    assert answer.headers["content-type"].startswith("text/xml")
    assert b"<Organisations><Organisation><Name>Sharma Traders</Name>" in answer.content


async def test_refusals_have_xeros_shapes(double: Double, book: dict[str, Any]) -> None:
    url, headers = f"{API}/Organisation", book["headers"]
    stranger = await double.http.get(url, headers=headers | {"xero-tenant-id": "someone-else"})
    assert (stranger.status_code, stranger.json()["Detail"]) == (403, "AuthenticationUnsuccessful")
    missing = await double.http.get(url, headers={"authorization": headers["authorization"]})
    assert missing.status_code == 403
    narrow = await double.tokens(scope="openid accounting.invoices.read")
    refused = await double.http.get(url, headers=headers | {"authorization": f"Bearer {narrow['access_token']}"})
    assert (refused.status_code, refused.json()["Detail"]) == (401, "AuthorizationUnsuccessful")
    double.clock.forward(1800)
    expired = await double.http.get(url, headers=headers)
    assert expired.status_code == 401
    assert expired.json()["Detail"].startswith("TokenExpired: token expired at 06/23/2026")


async def test_the_sixty_first_call_in_a_minute_is_refused(double: Double, book: dict[str, Any]) -> None:
    url, headers = f"{API}/Organisation", book["headers"]
    first = await double.http.get(url, headers=headers)
    assert first.headers["x-minlimit-remaining"] == "59"
    assert first.headers["x-daylimit-remaining"] == "4999"
    for _ in range(59):
        assert (await double.http.get(url, headers=headers)).status_code == 200
    double.clock.forward(20)
    refused = await double.http.get(url, headers=headers)
    assert (refused.status_code, refused.headers["x-rate-limit-problem"]) == (429, "minute")
    assert refused.headers["retry-after"] == "40"
    double.clock.forward(40)
    assert (await double.http.get(url, headers=headers)).status_code == 200
    summary = await double.admin.summary()
    assert summary["breaches_by_tenant"] == {book["tenant"]: {"limit_minute": 1}}
    assert summary["calls_by_tenant"][book["tenant"]]["admitted"] == 61


async def test_everything_a_list_may_not_be_asked(double: Double, book: dict[str, Any]) -> None:
    wrong = [
        {"where": 'Type="ACCREC"'}, {"order": "Nothing"}, {"IDs": "17"}, {"Statuses": "OPEN"}, {"page": "one"},
        {"unitdp": "9"},
    ]  # fmt: skip
    for query in wrong:
        answer = await double.http.get(f"{API}/Invoices", params=query, headers=book["headers"])
        assert answer.status_code == 400, query


async def test_an_expensive_query_over_many_rows_is_refused(double: Double, book: dict[str, Any]) -> None:
    await double.admin.settings(high_volume_rows=10)
    expensive = {"where": f'ID==Guid("{book["rows"][0]["invoice_id"]}")'}
    answer = await double.http.get(f"{API}/Invoices", params=expensive, headers=book["headers"])
    assert (answer.status_code, answer.json()["ErrorNumber"]) == (400, 51)
    await get(double, book, "/Invoices", where='Type=="ACCREC" AND AmountDue>0 AND DueDate<DateTime(2026,6,23)')
