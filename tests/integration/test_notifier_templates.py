"""A message waits while its template may not be used, and leaves as soon as it may."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from notifier.adapters.template_book import SqlTemplateBook
from notifier.answers import why
from notifier.catalogue import load_catalogue
from notifier.halts import CLAIM_SPACING
from notifier.ports import Outcome, Rejected, TemplateMessage
from notifier.provider_errors import handling, remedy_of
from notifier.telemetry import Figures, TemplateLog
from notifier.template_examples import needed_by
from notifier.template_watch import ASK_EVERY, WatchTemplates
from notifier.whatsapp_errors import Scope
from shared.contracts.whatsapp import WhatsAppTemplateChangedV1
from shared.policy import Policy
from support.account import ACCOUNT, Account, business_account
from support.builders import NOON, TENANT
from support.notifier import CATALOGUE, FakeProvider, World, status_update, tenant_policy, world

pytestmark = pytest.mark.integration

HOURS = {"start": "00:00", "end": "24:00", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "holidays": False}
PLAIN = tenant_policy(contact_hours=HOURS)
LINKED = tenant_policy(contact_hours=HOURS, online_link=True)
DUE = {"due_on": NOON.date() - timedelta(days=30)}
LINK = {**DUE, "online_url": "https://in.xero.com/abc"}
TEMPLATE = "invoice_overdue_final"


def watch(notifier: World, account: Account, policy: Policy = PLAIN) -> WatchTemplates:
    return WatchTemplates(
        ACCOUNT,
        account.management,
        SqlTemplateBook(notifier.engine),
        needed_by(policy, load_catalogue(CATALOGUE)),
        clock=notifier.clock,
        wake=lambda: None,
        log=TemplateLog(Figures(CollectorRegistry())),
    )


async def try_to_send(notifier: World, **invoice: Any) -> list[str]:
    await notifier.take_in(invoice=invoice or DUE)
    await notifier.sender.run_once()
    return [message.template for message, _ in notifier.provider.posts]


def refused(code: int) -> Rejected:
    return Rejected(f"whatsapp_{code}", handling(code), code=code)


async def rule(notifier: World) -> str:
    (answer,) = await why(notifier.engine, TENANT)
    return answer.rule


async def ask_again(notifier: World, watching: WatchTemplates) -> None:
    notifier.clock.forward(seconds=ASK_EVERY.total_seconds())
    assert await watching.ask()


@pytest.mark.parametrize("status", ["PAUSED", "DISABLED", "PENDING", "REJECTED"])
async def test_it_waits_while_paused_and_leaves_once_the_list_says_approved(database_url: str, status: str) -> None:
    async with world(database_url, PLAIN, account=ACCOUNT) as notifier, business_account(notifier.clock) as account:
        await account.sandbox.change_template(TEMPLATE, status=status, language="en", tell=False)
        watching = watch(notifier, account)
        assert await watching.ask()
        assert await try_to_send(notifier) == []
        assert (await notifier.states(), await rule(notifier)) == (["planned"], f"template_{status.lower()}")
        await account.sandbox.change_template(TEMPLATE, status="APPROVED", tell=False)
        await ask_again(notifier, watching)
        assert await try_to_send(notifier) == [TEMPLATE]
        assert (await notifier.intent()).tries == 1


async def test_webhooks_stop_it_at_once_and_let_it_go_at_once(database_url: str) -> None:
    async with world(database_url, PLAIN, account=ACCOUNT) as notifier, business_account(notifier.clock) as account:
        watching = watch(notifier, account)
        assert await watching.ask()
        notifier.clock.forward(minutes=1)
        await account.sandbox.change_template(TEMPLATE, status="PAUSED")
        for news in account.news():
            await watching(news)
        assert await try_to_send(notifier) == []
        notifier.clock.forward(minutes=1)
        await account.sandbox.change_template(TEMPLATE, status="APPROVED")
        for news in account.news():
            await watching(news)
        assert await try_to_send(notifier) == [TEMPLATE]


async def test_an_old_webhook_that_comes_late_changes_nothing(database_url: str) -> None:
    async with world(database_url, PLAIN, account=ACCOUNT) as notifier, business_account(notifier.clock) as account:
        watching = watch(notifier, account)
        await account.sandbox.change_template(TEMPLATE, status="PAUSED")
        notifier.clock.forward(minutes=5)
        await account.sandbox.change_template(TEMPLATE, status="APPROVED")
        news = [event for event in account.news() if event.language == "en"]
        for event in reversed(news):
            await watching(event)
        assert await try_to_send(notifier) == [TEMPLATE]
        notifier.clock.forward(minutes=5)
        assert await watching.ask()
        await watching(news[0])
        assert await SqlTemplateBook(notifier.engine).look_again([TEMPLATE], notifier.clock.now) == 0
        async with notifier.ledger.open(TENANT, notifier.clock.now) as book:
            state = await book.template(ACCOUNT, TEMPLATE, "en")
        assert state is not None
        assert state.status == "APPROVED"


async def test_marketing_is_not_paid_for_by_accident(database_url: str) -> None:
    async with world(database_url, PLAIN, account=ACCOUNT) as notifier, business_account(notifier.clock) as account:
        watching = watch(notifier, account)
        await account.sandbox.change_template(TEMPLATE, category="MARKETING")
        for news in account.news():
            await watching(news)
        assert await try_to_send(notifier) == []
        assert await rule(notifier) == "template_marketing"


async def test_what_the_account_lacks_waits_with_the_reason(database_url: str) -> None:
    async with world(database_url, PLAIN, account=ACCOUNT) as notifier, business_account(notifier.clock) as account:
        await account.sandbox.forget_templates()
        watching = watch(notifier, account)
        with capture_logs() as logs:
            await watching.ask()
        assert f"{TEMPLATE} en" in next(line for line in logs if line["event"] == "templates.missing")["templates"]
        assert await try_to_send(notifier) == []
        assert await rule(notifier) == "template_missing"
        other = {"name": TEMPLATE, "language": "hi", "category": "UTILITY", "parameter_format": "NAMED"}
        plain = {"type": "BODY", "text": "An invoice of yours is open."}
        await account.management.create({**other, "components": [plain]})
        await ask_again(notifier, watching)
        assert await try_to_send(notifier) == []
        assert await rule(notifier) == "template_language_missing"
        await account.management.create({**other, "language": "en", "components": [plain]})
        await ask_again(notifier, watching)
        assert await try_to_send(notifier) == []
        assert await rule(notifier) == "template_parameters"


async def test_a_form_with_a_link_that_may_not_be_used_gives_way_to_the_plain_one(database_url: str) -> None:
    async with world(database_url, LINKED, account=ACCOUNT) as notifier, business_account(notifier.clock) as account:
        await account.sandbox.change_template(f"{TEMPLATE}_with_link", status="PENDING", tell=False)
        assert await watch(notifier, account, LINKED).ask()
        assert await try_to_send(notifier, **LINK) == [TEMPLATE]
        assert await rule(notifier) == "without_link_template_pending"


@pytest.mark.parametrize("code", [132001, 132015, 132000, 132012])
async def test_what_whatsapp_refused_of_a_form_with_a_link_leaves_at_once_in_the_plain_one(
    database_url: str, code: int
) -> None:
    linked = f"{TEMPLATE}_with_link"
    async with world(database_url, LINKED) as notifier:
        notifier.provider.answers.append(refused(code))
        assert await try_to_send(notifier, **LINK) == [linked]
        notifier.clock.forward(seconds=CLAIM_SPACING.total_seconds())
        await notifier.sender.run_once()
        assert [message.template for message, _ in notifier.provider.posts] == [linked, TEMPLATE]
        assert ((await notifier.intent()).tries, await notifier.states()) == (1, ["accepted"])
        assert await rule(notifier) == f"without_link_whatsapp_{code}"
        notifier.clock.forward(minutes=1)
        assert (await try_to_send(notifier, **LINK, invoice_id="another", number="INV-2"))[2:] == [TEMPLATE]
        # When the time has come one message tries again, and all may have their link once it was taken.
        notifier.clock.forward(hours=3)
        assert (await try_to_send(notifier, **LINK, invoice_id="a third", number="INV-3"))[3:] == [linked]
        assert (await notifier.ledger.halts()).breakers == ()


class RefusesLinks(FakeProvider):
    async def send(self, message: TemplateMessage, attempt_ref: str) -> Outcome:
        accepted = await super().send(message, attempt_ref)
        return refused(132012) if message.template.endswith("_with_link") else accepted


async def test_many_at_once_that_are_refused_with_a_link_all_leave_without(database_url: str) -> None:
    """None of them waits for the probe, whether it was in hand when the breaker opened or when it lets one try."""
    policy = tenant_policy(contact_hours=HOURS, online_link=True, brake={"hold_back_book": False})
    linked = f"{TEMPLATE}_with_link"

    async def plan(notifier: World, numbers: range) -> None:
        for number in numbers:
            contact = {"contact_id": f"c{number}", "phone": f"+91987654{number:04}"}
            await notifier.take_in(invoice={**LINK, "invoice_id": f"i{number}"}, contact=contact)

    async with world(database_url, policy) as notifier:
        notifier.provider = RefusesLinks()
        senders = [notifier.another_sender(), notifier.another_sender()]
        for hour in range(2):
            tried = len(notifier.provider.posts)
            await plan(notifier, range(10 * hour, 10 * hour + 8))
            for _ in range(2):
                await asyncio.gather(*(sender.run_once() for sender in senders))
                notifier.clock.forward(seconds=CLAIM_SPACING.total_seconds())
            forms = [message.template for message, _ in notifier.provider.posts[tried:]]
            assert forms.count(TEMPLATE) == 8
            notifier.clock.forward(hours=3)
        assert forms.count(linked) == 1, "the breaker lets one try"
        assert await notifier.states() == ["accepted"] * 16
        (breaker,) = (await notifier.ledger.halts()).breakers
        assert (breaker.key, breaker.remedy) == (f"template:{linked}", remedy_of("whatsapp_132012", Scope.TEMPLATE))


async def test_a_status_that_refuses_the_form_with_a_link_lets_the_plain_one_leave(database_url: str) -> None:
    linked = f"{TEMPLATE}_with_link"
    async with world(database_url, LINKED) as notifier:
        assert await try_to_send(notifier, **LINK) == [linked]
        paused = {"errors": [{"code": 132015}]}
        await notifier.learn(status_update("failed", notifier.provider.posts[0][1], raw=paused))
        notifier.clock.forward(seconds=CLAIM_SPACING.total_seconds())
        await notifier.sender.run_once()
        assert [message.template for message, _ in notifier.provider.posts] == [linked, TEMPLATE]


async def test_what_whatsapp_refused_is_tried_as_soon_as_the_account_says_it_may_be_used(database_url: str) -> None:
    async with world(database_url, PLAIN, account=ACCOUNT) as notifier, business_account(notifier.clock) as account:
        watching = watch(notifier, account)
        assert await watching.ask()
        notifier.provider.answers.append(refused(132015))
        assert await try_to_send(notifier) == [TEMPLATE]
        for status, posts in (("PAUSED", 1), ("APPROVED", 2)):
            notifier.clock.forward(minutes=1)
            await account.sandbox.change_template(TEMPLATE, status=status)
            for news in account.news():
                await watching(news)
            assert len(await try_to_send(notifier)) == posts
        assert (await notifier.ledger.halts()).breakers == ()
        assert (await notifier.intent()).tries == 1


async def test_no_link_is_asked_for_that_could_not_be_shown(database_url: str) -> None:
    async with world(database_url, LINKED, account=ACCOUNT) as notifier, business_account(notifier.clock) as account:
        await account.sandbox.change_template(f"{TEMPLATE}_with_link", status="PAUSED", tell=False)
        assert await watch(notifier, account, LINKED).ask()
        assert await try_to_send(notifier) == [TEMPLATE]
        assert notifier.events.published == []


async def test_an_account_that_may_not_be_asked_holds_nothing_back_and_says_so_once(database_url: str) -> None:
    async with world(database_url, PLAIN, account=ACCOUNT) as notifier, business_account(notifier.clock) as account:
        watching = watch(notifier, account)
        await account.sandbox.change_template(TEMPLATE, status="PAUSED", tell=False)
        await watching.ask()
        await account.sandbox.settings(manage_templates=False)
        with capture_logs() as logs:
            await ask_again(notifier, watching)
            await ask_again(notifier, watching)
        assert [line["event"] for line in logs] == ["templates.unchecked"]
        assert await try_to_send(notifier) == [TEMPLATE]


async def test_without_an_account_id_it_says_so_once_and_asks_nobody(database_url: str) -> None:
    async with world(database_url, PLAIN) as notifier, business_account(notifier.clock) as account:
        book, log = SqlTemplateBook(notifier.engine), TemplateLog(Figures(CollectorRegistry()))
        none = frozenset[tuple[str, str]]()
        watching = WatchTemplates(
            None, account.management, book, none, clock=notifier.clock, wake=lambda: None, log=log
        )
        with capture_logs() as logs:
            for _ in range(2):
                assert await watching.ask()
        assert [line["reason"] for line in logs] == ["no_account_id"]
        assert await account.sandbox.journal("whatsapp.templates") == []
        assert await try_to_send(notifier) == [TEMPLATE]


async def test_a_passing_fault_keeps_what_is_known(database_url: str) -> None:
    async with world(database_url, PLAIN, account=ACCOUNT) as notifier, business_account(notifier.clock) as account:
        watching = watch(notifier, account)
        await account.sandbox.change_template(TEMPLATE, status="PAUSED", tell=False)
        await watching.ask()
        await account.sandbox.fault("/v25.0/*", "graph", code=2)
        notifier.clock.forward(seconds=ASK_EVERY.total_seconds())
        assert not await watching.ask()
        assert await try_to_send(notifier) == []


async def test_replicas_ask_the_account_once_between_them(database_url: str) -> None:
    async with world(database_url, PLAIN, account=ACCOUNT) as notifier, business_account(notifier.clock) as account:
        for _ in range(4):
            assert await watch(notifier, account).ask()
        assert len(await account.sandbox.journal("whatsapp.templates")) == 1


async def test_another_account_s_webhook_is_not_ours(database_url: str) -> None:
    async with world(database_url, PLAIN, account=ACCOUNT) as notifier, business_account(notifier.clock) as account:
        await account.sandbox.change_template(TEMPLATE, status="PAUSED")
        for news in account.news():
            foreign = WhatsAppTemplateChangedV1.model_validate(news.model_dump() | {"account_id": "another"})
            await watch(notifier, account)(foreign)
        assert await try_to_send(notifier) == [TEMPLATE]
