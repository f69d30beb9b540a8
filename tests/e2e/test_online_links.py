"""Messages that show an invoice's page, and an invoice printed on demand, on real processes."""

from collections import Counter
from datetime import timedelta

import pytest

from support.town import LINKED, Town, today
from support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


async def calls(town: Town) -> Counter[str]:
    """Calls to the accounting API by what was asked for, whichever invoice it was."""
    paths = [entry["path"] for entry in await town.sandbox.journal("xero") if "/api.xro/" in entry.get("path", "")]
    return Counter("OnlineInvoice" if path.endswith("/OnlineInvoice") else path.split("/")[3] for path in paths)


async def test_reminders_show_the_invoices_page_and_it_is_asked_for_once(town: Town) -> None:
    tenant = await town.organisation(tenant_id=LINKED[0])
    rows = await town.sandbox.bulk(
        tenant, 12, issue_date=today() - timedelta(days=30), due_date=today() - timedelta(days=7)
    )
    await town.sandbox.clear_journal()
    await town.command("scan", tenant)

    async def all_sent() -> bool:
        return len(await town.sent()) == len(rows)

    await eventually(all_sent, seconds=60, what="the reminders")
    messages = await town.sandbox.messages()
    assert {message["template"] for message in messages} == {"invoice_overdue_with_link"}
    assert {message["parameters"]["invoice_number"]: message["parameters"]["link"] for message in messages} == {
        row["invoice_number"]: f"https://in.xero.com/{row['invoice_id'].replace('-', '')}" for row in rows
    }
    made = await calls(town)
    assert made["OnlineInvoice"] == len(rows)
    # The links are what it costs: the scan is one page, and a look reads its invoices and their contacts in batches.
    assert made["Contacts"] <= made["Invoices"] < len(rows)
    assert made["Organisation"] <= 1
    summary = await town.sandbox.summary()
    assert (summary["breaches"], summary["messages_refused"]) == (0, 0)


async def test_an_alert_and_the_thanks_for_the_same_invoice_cost_one_question(town: Town) -> None:
    tenant = await town.organisation(tenant_id=LINKED[1])
    contact = await town.sandbox.contact(tenant, "Asha Traders", phone="98700 00001")
    invoice = await town.sandbox.invoice(
        tenant, contact["contact_id"], issue_date=today(), due_date=today() + timedelta(days=14), total="12500.00"
    )
    await eventually(town.sandbox.messages, seconds=30, what="the alert")
    await town.sandbox.pay(invoice["invoice_id"])

    async def thanked() -> bool:
        return len(await town.sandbox.messages()) == 2

    await eventually(thanked, seconds=30, what="the thanks")
    messages = await town.sandbox.messages()
    assert {message["template"] for message in messages} == {"invoice_issued_with_link", "invoice_paid_with_link"}
    assert len({message["parameters"]["link"] for message in messages}) == 1
    assert (await calls(town))["OnlineInvoice"] == 1


async def test_a_message_whose_page_cannot_be_had_leaves_without_and_says_so(town: Town) -> None:
    tenant = await town.organisation(tenant_id=LINKED[2])
    await town.sandbox.fault("/api.xro/*/OnlineInvoice", "status500", times=None)
    contact = await town.sandbox.contact(tenant, "Asha Traders", phone="98700 00001")
    await town.sandbox.invoice(tenant, contact["contact_id"], issue_date=today(), due_date=today() + timedelta(days=14))
    (message,) = await eventually(town.sandbox.messages, seconds=30, what="the alert")
    assert message["template"] == "invoice_issued"
    (decision,) = await town.decisions(tenant)
    assert (decision["verdict"], decision["rule"]) == ("send", "without_link_xero_unavailable")


async def test_an_invoice_is_printed_on_demand(town: Town) -> None:
    tenant = await town.organisation()
    (invoice,) = await town.invoices(tenant, 1)
    printed = await town.command("invoice-pdf", tenant, invoice["invoice_number"])
    assert printed.startswith("%PDF-")
    assert printed.endswith("%%EOF")
    assert invoice["invoice_number"] in printed
    with pytest.raises(AssertionError, match="Xero shows no such invoice"):
        await town.command("invoice-pdf", tenant, "INV-no-such")
    with pytest.raises(AssertionError, match="unknown_tenant"):
        await town.command("invoice-pdf", "another", invoice["invoice_number"])
