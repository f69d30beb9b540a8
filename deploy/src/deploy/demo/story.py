"""The story itself, chapter by chapter."""

import re
from contextlib import suppress
from datetime import timedelta

from deploy.demo.telling import Teller
from deploy.demo.world import NotSeen, World, eventually
from sandbox.client import Json

ORGANISATION = {"name": "Meera Textiles", "country": "IN", "timezone": "INDIASTANDARDTIME", "currency": "INR"}
EVENTS = "fetcher.xero.event.received.v1"
DECISIONS = "notifier.invoice.enriched.v1"
CUSTOMER = "Asha Traders"
CUSTOMER_PHONE = "98765 43210"

RULES = {
    "promised": "payment is promised for a later day",
    "contact_not_active": "the contact is archived or asked to be erased",
    "no_phone_none_given": "no number that could be messaged",
    "no_phone_not_a_mobile": "no mobile number",
    "no_phone_invalid": "the number is not valid",
}
"""The notifier's rules, for a person."""


async def connect(world: World, tell: Teller) -> None:
    tell.chapter("Connect an organisation")
    link = await world.command("connect-link")
    tell.say("[bold]make connect-link[/] prints a signed link that works once:")
    tell.link(re.sub(r"(signature=.{6})[^&]*", r"\1…", link))
    to_login = await world.browser.get(link)
    tell.check(to_login.status_code == 302, "it leads to Xero's login, with a state bound to this link")
    back = await world.sandbox.consent(to_login.headers["location"])
    page = await world.browser.get(back)
    tell.check(
        page.status_code == 200 and ORGANISATION["name"] in page.text,
        f"consent given; the page says “{ORGANISATION['name']}” is connected",
    )
    again = await world.browser.get(link)
    tell.check(again.status_code >= 400, f"the same link again is refused ({again.status_code})")
    token_calls = [row for row in await world.sandbox.journal("xero.token") if row["status"] == 200]
    tell.check(len(token_calls) == 1, "Xero's journal: one code exchanged, for one grant")


async def shake_hands(world: World, tell: Teller) -> None:
    tell.chapter("Shake hands")
    xero = await world.sandbox.handshake()
    count = len(xero["attempts"])
    tell.check(
        xero["ok"], f"Xero's intent to receive, {count} requests: the right signature 200, one character off 401"
    )
    meta = await world.sandbox.verify_whatsapp()
    tell.check(meta["ok"], "Meta's verification: the challenge came back")


async def issue(world: World, tell: Teller) -> Json:
    tell.chapter("Issue an invoice")
    contact = await world.sandbox.contact(world.tenant_id, CUSTOMER, phone=CUSTOMER_PHONE)
    today = world.today().date()
    invoice = await world.sandbox.invoice(
        world.tenant_id, contact["contact_id"], issue_date=today, due_date=today + timedelta(days=14), total="12500.00"
    )
    number = str(invoice["invoice_number"])
    tell.say(f"In Xero: {number} to {CUSTOMER}, INR 12,500.00, due in 14 days; on file, “{CUSTOMER_PHONE}”.")
    (message, *more) = await eventually("the alert", lambda: world.sent_for(number))
    tell.bubble(f"{CUSTOMER}'s phone · {masked(message['number'])}", message["text"], f"template {message['template']}")
    tell.check(not more, "one message arrived, in E.164 with the country taken from the organisation")
    for status in ("sent", "delivered", "read"):
        await world.sandbox.status(message["wamid"], status)
    await eventually("the status", lambda: state_is(world, number, "read"))
    tell.check(True, "WhatsApp's statuses came back: sent, delivered, [green]read[/]")
    event = {"tenant_id": world.tenant_id, "resource_id": invoice["invoice_id"], "type": "CREATE"}
    before = await count(world, EVENTS)
    await world.sandbox.send_events([event], copies=10)
    await eventually("the repeated events", lambda: count(world, EVENTS, before + 10))
    tell.check(len(await world.sent_for(number)) == 1, "Xero delivers the same event ten times more: still one message")
    return invoice


async def remind(world: World, tell: Teller) -> list[Json]:
    tell.chapter("Scan a book of invoices")
    book = await world.sandbox.book(world.tenant_id, world.today().date())
    tell.say(f"{len(book)} invoices of all sorts lie in Xero. [bold]make scan TENANT=…[/] asks for what is owed.")
    await world.command("scan", world.tenant_id)
    expected = {row["invoice_number"]: row for row in book if row["expect"] == "remind"}
    numbers = {row["invoice_number"] for row in book}

    async def all_reminded() -> bool:
        return expected.keys() <= {row["parameters"].get("invoice_number") for row in await world.sent()}

    # The tables below say more of a missing reminder than a deadline would.
    with suppress(NotSeen):
        await eventually("the reminders", all_reminded)
    decisions = {row["invoice_number"]: row for row in await world.why()}
    sent = [row for row in await world.sent() if row["parameters"].get("invoice_number") in numbers]
    tell.say("")
    tell.table(("Messaged", "Case", "Template", "To"), [messaged(row, expected) for row in sent])
    tell.say("")
    left = [row for row in book if row["expect"] == "skip"]
    tell.table(("Left alone", "Case", "Why"), [left_alone(row, decisions) for row in left])
    tell.say("")
    right = sorted((row["parameters"]["invoice_number"], row["number"], row["template"]) for row in sent)
    wanted = sorted((row["invoice_number"], row["phone"], row["template"]) for row in expected.values())
    for number, phone, template in sorted(set(wanted) - set(right)):
        tell.check(False, f"{template} for {number} to {masked(phone)} is missing")
    for number, phone, template in sorted(set(right) - set(wanted)):
        tell.check(False, f"{template} for {number} to {masked(phone)} should not have left")
    tell.check(right == wanted, f"exactly the {len(wanted)} right people, each the right words, each once")
    return book


async def pay(world: World, tell: Teller, book: list[Json]) -> None:
    tell.chapter("A customer pays")
    row = next(row for row in book if row["case"] == "overdue 7 days")
    number = str(row["invoice_number"])
    await world.sandbox.pay(row["invoice_id"])

    async def thanked() -> list[Json]:
        return [message for message in await world.sent_for(number) if message["template"] == "invoice_paid"]

    (thanks, *more) = await eventually("the thank-you", thanked)
    tell.bubble(f"{row['contact_name']} · {masked(thanks['number'])}", thanks["text"], f"template {thanks['template']}")
    tell.check(not more, "one thank-you")
    before = len(await world.sent())
    decided = await count(world, DECISIONS)
    owed = sum(1 for row in book if row["expect"] == "remind") - 1
    await world.command("scan", world.tenant_id)
    await eventually("the second scan's decisions", lambda: count(world, DECISIONS, decided + owed))
    tell.check(
        len(await world.sent()) == before, "the next scan messages nobody: the paid one is done, the others have heard"
    )


async def forge(world: World, tell: Teller, invoice: Json) -> None:
    tell.chapter("Somebody forges a webhook")
    before = (len(await world.sent()), await count(world, EVENTS))
    event = {"tenant_id": world.tenant_id, "resource_id": invoice["invoice_id"]}
    answers = await world.sandbox.send_events([event], copies=5, batch=1, forged=True)
    statuses = {answer["status"] for answer in answers}
    tell.check(statuses == {401}, f"{len(answers)} forged deliveries: all answered 401")
    tell.check((len(await world.sent()), await count(world, EVENTS)) == before, "nothing behind the door noticed")


async def judge(world: World, tell: Teller, book: list[Json]) -> None:
    tell.chapter("What the sandbox's journal says")
    summary = await world.sandbox.summary()
    wanted = 1 + sum(row["expect"] == "remind" for row in book) + 1
    accepted = summary["messages_accepted"]
    tell.check(accepted == wanted, f"{accepted} messages accepted: 1 alert, {wanted - 2} reminders, 1 thank-you")
    tell.check(summary["messages_refused"] == 0, "none refused: every template, language and parameter was right")
    tell.check(not summary["messages_per_reference"], "no attempt was sent twice")
    calls = summary["calls_by_tenant"].get(world.tenant_id, {})
    tell.check(
        summary["breaches"] == 0 and calls.get("refused") == 0,
        f"{calls.get('admitted')} calls to Xero, at most {calls.get('peak_in_flight')} at once: none over a limit, "
        "no unknown parameter",
    )
    tell.check(summary["token_reuse"] == 0, "no refresh token was used twice")


def masked(number: str) -> str:
    return f"{number[:5]} ••••• {number[-3:]}"


def messaged(message: Json, expected: dict[str, Json]) -> tuple[str, ...]:
    number = message["parameters"]["invoice_number"]
    return number, expected.get(number, {}).get("case", "?"), message["template"], masked(message["number"])


def left_alone(row: Json, decisions: dict[str, Json]) -> tuple[str, ...]:
    decision = decisions.get(row["invoice_number"])
    rule = decision["rule"] if decision else ""
    why = RULES.get(rule, rule) if decision else "Xero was not asked for it: " + row["why"]
    return row["invoice_number"], row["case"], why


async def state_is(world: World, invoice_number: str, state: str) -> bool:
    return any(row["invoice_number"] == invoice_number and row["state"] == state for row in await world.why())


async def count(world: World, queue: str, at_least: int = 0) -> int:
    """How many messages of a queue its service has finished; 0 while fewer than ``at_least``."""
    text = (await world.browser.get(f"{world.stack.url(queue.partition('.')[0])}/metrics")).text
    pattern = rf'duebell_messages_processed_total\{{outcome="handled",queue="{re.escape(queue)}"\}} (\S+)'
    found = re.search(pattern, text)
    number = int(float(found.group(1))) if found else 0
    return number if number >= at_least else 0
