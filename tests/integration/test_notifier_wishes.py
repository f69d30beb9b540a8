"""A STOP is confirmed once and in time, an answer pauses reminders, and why a message failed is kept whole."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from notifier import answers, orders
from notifier.adapters.confirmations import SqlConfirmations
from notifier.adapters.replies import end_pause
from notifier.adapters.whatsapp import WhatsAppProvider
from notifier.confirm import WINDOW
from notifier.learning_tables import confirmations, replies
from notifier.lesson_ports import Wish
from notifier.ports import Accepted, Attempt, Rejected, Unknown
from notifier.sender import SENDER_GONE_AFTER
from notifier.stop_texts import STOP_TEXTS
from notifier.tables import attempts, metadata, opt_outs
from notifier.whatsapp_errors import NOT_REACHED, handling
from notifier.why import table
from shared.contracts.messages import MessageState
from shared.policy import Mode, Policy
from support.account import business_account
from support.builders import CONTACT, NOON, TENANT
from support.notifier import ALWAYS, FakeProvider, World, inbound, status_update, world

pytestmark = pytest.mark.integration
PHONE = "+919876543210"
REGULAR = {"pricing": {"pricing_model": "PMP", "type": "regular", "category": "service"}}


def ruled(**rules: Any) -> Policy:
    return Policy(defaults=ALWAYS.defaults.model_copy(update=rules))


async def send_one(notifier: World, **changes: Any) -> str:
    await notifier.take_in(**changes)
    await notifier.sender.run_once()
    notifier.clock.forward(seconds=10)
    return notifier.provider.posts[-1][1]


async def say(notifier: World, text: str | None, **changes: Any) -> None:
    changes.setdefault("happened_at", notifier.clock.now)
    await notifier.learn(inbound(text, **changes))


async def confirmed(notifier: World) -> list[str]:
    """How the answers to STOP stand, after everything that can leave has."""
    await notifier.another_confirmer().run_once()
    return [row.state for row in await notifier.rows(confirmations)]


async def test_a_stop_is_confirmed_once_to_the_person(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await send_one(notifier)
        for _ in range(3):
            await say(notifier, "STOP")
            assert await confirmed(notifier) == ["accepted"]
            notifier.clock.forward(days=1)
        ((message, reference),) = notifier.provider.texts
        assert (message.to, message.text) == (PHONE, STOP_TEXTS["en"])
        await notifier.learn(status_update("delivered", reference, f"wamid.{reference}", raw=REGULAR))
        (row,) = await notifier.rows(confirmations)
        assert (row.state, str(row.cost), row.currency) == ("delivered", "0", "INR")


async def test_the_same_stop_at_four_replicas_and_four_senders_is_one_text(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await send_one(notifier)
        stops = [inbound("STOP", happened_at=NOON + timedelta(seconds=second % 2)) for second in range(8)]
        await asyncio.gather(*map(notifier.learn, stops))
        await asyncio.gather(*(notifier.another_confirmer().run_once() for _ in range(4)))
        assert len(notifier.provider.texts) == 1


@pytest.mark.parametrize("contact", [CONTACT, "Asha Traders"])
async def test_it_is_in_the_persons_language(database_url: str, contact: str) -> None:
    async with world(database_url, ruled(languages={contact: "hi"})) as notifier:
        await send_one(notifier)
        await say(notifier, "बंद करो")
        await confirmed(notifier)
        assert notifier.provider.texts[0][0].text == STOP_TEXTS["hi"]


@pytest.mark.parametrize(("age", "texts"), [(timedelta(), 1), (WINDOW, 1), (timedelta(days=14), 0)])
async def test_it_is_not_said_when_it_comes_too_late(database_url: str, age: timedelta, texts: int) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await send_one(notifier)
        await say(notifier, "STOP", happened_at=notifier.clock.now - age)
        await confirmed(notifier)
        assert len(notifier.provider.texts) == texts
        assert (await notifier.rows(opt_outs))[0].opted_out


async def test_nobody_who_was_never_written_to_is_answered(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await say(notifier, "STOP")
        assert await confirmed(notifier) == []
        await notifier.take_in()
        assert await notifier.states() == []


async def test_it_can_be_switched_off(database_url: str) -> None:
    async with world(database_url, ruled(confirm_stop=False)) as notifier:
        await send_one(notifier)
        await say(notifier, "STOP")
        assert await confirmed(notifier) == ["suppressed"]


async def test_a_sender_that_has_no_free_text_answers_nobody(database_url: str) -> None:
    async with world(database_url, ruled(sender="twilio")) as notifier:
        await send_one(notifier)
        await say(notifier, "STOP")
        assert await confirmed(notifier) == ["suppressed"]
        assert notifier.provider.texts == []
        (row,) = await notifier.rows(confirmations)
        assert row.reason == "no_free_text"


async def test_a_pause_keeps_it_back_and_a_start_takes_it_away(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await send_one(notifier)
        await orders.pause(notifier.engine, None, "test", notifier.clock.now)
        await say(notifier, "STOP")
        assert await confirmed(notifier) == ["planned"]
        await orders.resume(notifier.engine, None, "test", notifier.clock.now)
        notifier.clock.forward(seconds=15)
        await say(notifier, "START")
        assert await confirmed(notifier) == ["cancelled"]
        assert notifier.provider.texts == []
        for word, texts in (("STOP", 1), ("START", 1), ("STOP", 1)):
            notifier.clock.forward(minutes=5)
            await say(notifier, word)
            assert await confirmed(notifier) == ["accepted" if notifier.provider.texts else "cancelled"]
            assert len(notifier.provider.texts) == texts, "the last STOP is confirmed, by one text a day"


async def test_a_paused_organisations_answers_wait_behind_those_of_the_others(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await send_one(notifier)
        await orders.pause(notifier.engine, TENANT, "test", notifier.clock.now)
        await say(notifier, "STOP")
        book = SqlConfirmations(notifier.engine)
        assert len(await book.due(notifier.clock.now, 1)) == 1
        assert await confirmed(notifier) == ["planned"]
        assert await book.due(notifier.clock.now, 1) == []
        await orders.resume(notifier.engine, TENANT, "test", notifier.clock.now)
        notifier.clock.forward(seconds=15)
        assert await confirmed(notifier) == ["accepted"]


@pytest.mark.parametrize(
    ("answer", "states"),
    [
        (Unknown("no_answer"), ["unknown", "unknown"]),
        (Rejected("whatsapp_131047", handling(131047)), ["failed", "failed"]),
        (Rejected("not_reached", NOT_REACHED), ["planned", "accepted"]),
        (Rejected("whatsapp_190", handling(190)), ["planned", "accepted"]),
    ],
)
async def test_only_what_certainly_did_not_leave_is_tried_again(
    database_url: str, answer: Any, states: list[str]
) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await send_one(notifier)
        await say(notifier, "STOP")
        notifier.provider.answers.append(answer)
        seen = await confirmed(notifier)
        notifier.clock.forward(minutes=10)
        assert seen + await confirmed(notifier) == states


class DyingProvider(FakeProvider):
    async def send_text(self, message: Any, attempt_ref: str) -> Any:
        self.texts.append((message, attempt_ref))
        raise RuntimeError("the process dies here")


async def test_who_dies_while_it_is_sent_leaves_it_unknown_until_its_status(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await send_one(notifier)
        await say(notifier, "STOP")
        notifier.provider = DyingProvider()
        with pytest.raises(RuntimeError):
            await notifier.another_confirmer().run_once()
        notifier.clock.now += SENDER_GONE_AFTER + timedelta(seconds=1)
        assert await confirmed(notifier) == ["unknown"]
        assert len(notifier.provider.texts) == 1
        await notifier.learn(status_update("sent", notifier.provider.texts[0][1], "wamid.t"))
        assert await confirmed(notifier) == ["sent"]


async def test_a_stop_between_the_decision_and_the_claim_is_heard(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await notifier.take_in()
        row = await notifier.intent()
        async with notifier.ledger.open(TENANT, notifier.clock.now) as book:
            intent = await book.intent(row.intent_id)
            assert intent is not None
            wish = Wish(PHONE, None, None, opted_out=True, said_at=NOON)
            # Committed by another while this one has read already that nobody objects.
            await record_wish_of_another(notifier, book, wish)
            attempt = Attempt("v1.x", intent.intent_id, TENANT, PHONE, "invoice_overdue")
            assert not await book.claim(intent, attempt, notifier.clock.now)
        assert await notifier.rows(attempts) == []


async def record_wish_of_another(notifier: World, book: Any, wish: Wish) -> None:
    statement = sa.insert(opt_outs).values(person=wish.phone, opted_out=True, said_at=wish.said_at)
    if notifier.engine.dialect.name == "sqlite":  # one writer: inside the same transaction is the nearest there is
        await book._db.execute(statement)
        return
    async with notifier.engine.begin() as db:
        await db.execute(statement)


async def test_a_stop_reaches_what_every_organisation_holds_and_plans(database_url: str) -> None:
    async with world(database_url, ruled(mode=Mode.APPROVAL)) as notifier:
        await notifier.take_in(tenant_id="one")
        await notifier.take_in(tenant_id="two")
        assert await notifier.states() == ["held", "held"]
        await answers.release(notifier.engine, "two", notifier.clock.now)
        await say(notifier, "STOP")
        assert await notifier.states() == ["cancelled", "cancelled"]


async def test_an_answer_pauses_the_contacts_reminders_until_its_time_or_a_person(database_url: str) -> None:
    async with world(database_url, ruled(reply_pause_days=3)) as notifier:
        reference = await send_one(notifier)
        await notifier.take_in(invoice={"invoice_id": "planned"}, contact={"contact_id": "same number"})
        await say(notifier, "I paid on Monday, please check", reply_to=f"wamid.{reference}")
        await notifier.sender.run_once()
        assert (await notifier.states()).count("cancelled") == 1
        await notifier.take_in(invoice={"invoice_id": "next"})
        rules = {answer.invoice_id: answer.rule for answer in await answers.why(notifier.engine, TENANT)}
        assert (rules["planned"], rules["next"]) == ("replied", "replied")
        # By the invoice that was not reminded of, too: that is the one a person asks about.
        assert await end_pause(notifier.engine, TENANT, "next", notifier.clock.now) == 1
        assert await end_pause(notifier.engine, TENANT, CONTACT, notifier.clock.now) == 0
        await notifier.take_in(invoice={"invoice_id": "planned"}, contact={"contact_id": "same number"})
        assert "planned" in await notifier.states()
        notifier.clock.forward(seconds=10)
        await say(notifier, "no really", reply_to=f"wamid.{reference}")
        await notifier.take_in(invoice={"invoice_id": "third"})
        assert len(await notifier.states()) == 2
        notifier.clock.forward(days=3)
        await notifier.take_in(invoice={"invoice_id": "third"})
        assert len(await notifier.states()) == 3


@pytest.mark.parametrize(
    ("policy", "text", "raw"),
    [
        (ALWAYS, "I have paid", {}),
        (ruled(reply_pause_days=3), "ok", {"type": "text"}),
        (ruled(reply_pause_days=3), "👍🏽", {"type": "text"}),
        (ruled(reply_pause_days=3), None, {"type": "reaction"}),
        (ruled(reply_pause_days=3), None, {"type": "system"}),
        (ruled(reply_pause_days=3), "START", {"type": "text"}),
    ],
)
async def test_what_pauses_nothing(database_url: str, policy: Policy, text: str | None, raw: dict[str, str]) -> None:
    async with world(database_url, policy) as notifier:
        await send_one(notifier)
        await say(notifier, text, raw=raw)
        await notifier.take_in(invoice={"invoice_id": "next"})
        assert sorted(await notifier.states()) == ["accepted", "planned"]


async def test_an_answer_to_one_organisation_pauses_no_others_reminders(database_url: str) -> None:
    async with world(database_url, ruled(reply_pause_days=3)) as notifier:
        first = await send_one(notifier, tenant_id="one")
        await send_one(notifier, tenant_id="two")
        await say(notifier, "who are you?", reply_to=f"wamid.{first}")
        assert [row.tenant_id for row in await notifier.rows(replies)] == ["one"]
        await say(notifier, "who are you?")
        assert [row.tenant_id for row in await notifier.rows(replies)] == ["one", "two"]


async def test_what_people_write_is_counted_and_kept_nowhere(database_url: str) -> None:
    async with world(database_url, ruled(reply_pause_days=3)) as notifier:
        await send_one(notifier)
        secret = "my wife is in hospital"
        for text, kind in ((secret, "text"), ("STOP", "text"), (None, "image"), (None, "reaction"), ("ok", "text")):
            await say(notifier, text, raw={"type": kind, "text": {"body": secret}})
        assert notifier.heard == ["text", "stop", "media", "reaction", "acknowledgement"]
        for kept in metadata.sorted_tables:
            assert secret not in str(await notifier.rows(kept))


ERRORS = {
    "errors": [
        {
            "code": 131026,
            "title": "Message undeliverable",
            "message": "Message undeliverable",
            "error_data": {"details": "The number +91 98765 43210 has not accepted the terms."},
        },
        {"code": 131000, "title": "Something went wrong"},
    ]
}


async def test_why_a_message_failed_is_kept_whole_and_shown(database_url: str) -> None:
    whole = (
        "131026: Message undeliverable: The number +91 98765 43210 has not accepted the terms. "
        "| 131000: Something went wrong"
    )
    async with world(database_url, ALWAYS) as notifier:
        reference = await send_one(notifier)
        await notifier.learn(status_update("failed", reference, raw=ERRORS))
        (attempt,) = await notifier.rows(attempts)
        assert (attempt.details, attempt.error_code) == (whole, 131026)
        found = await answers.why(notifier.engine, TENANT)
        assert "131026: Message undeliverable: The number …210 has not" in table(found)
        assert found[0].as_json()["error"] == found[0].error
        assert MessageState.FAILED.value in table(found)


async def test_the_failure_that_came_before_our_answer_is_whole_too(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:

        async def status_first() -> None:
            await notifier.learn(status_update("failed", None, "wamid.early", raw=ERRORS))

        notifier.provider.meanwhile = status_first
        notifier.provider.answers.append(Accepted("wamid.early"))
        await send_one(notifier)
        (attempt,) = await notifier.rows(attempts)
        assert attempt.details.startswith("131026: Message undeliverable")


async def test_the_sandbox_takes_the_confirmation_shows_it_and_prices_it(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier, business_account(notifier.clock) as account:
        provider = WhatsAppProvider(account.http, path="/v25.0/100000000000001/messages", deadline_seconds=10)
        await send_one(notifier)
        await account.sandbox.inbound(PHONE, "STOP")
        for _ in range(2):
            for update in account.updates():
                await notifier.learn(update)
            await notifier.another_confirmer(provider).run_once()
        (text,) = [row for row in await account.sandbox.messages() if not row["inbound"]]
        assert text["text"] == STOP_TEXTS["en"]
        assert STOP_TEXTS["en"] in (await account.http.get("/page/phones")).text
        await account.sandbox.status(text["wamid"], "delivered")
        for update in account.updates():
            await notifier.learn(update)
        (row,) = await notifier.rows(confirmations)
        assert (row.state, row.category) == ("delivered", "service")
