"""Whatever becomes of a statement becomes of all the invoices that it told of."""

import asyncio

import pytest
import sqlalchemy as sa

from notifier.answers import close, resend
from notifier.halts import CLAIM_SPACING
from notifier.ports import Accepted, Attempt, Rejected, Unknown
from notifier.tables import attempts, intents
from notifier.whatsapp_errors import HANDLINGS, handling
from shared.contracts.messages import MessageChangedV1
from support.builders import TENANT
from support.notifier import status_update, world
from support.statements import THREE, gathered, grouped, overdue, said, tell

pytestmark = pytest.mark.integration


async def test_two_replicas_post_one_statement(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *(overdue(number) for number in range(1, 13)))
        await asyncio.gather(notifier.sender.run_once(), notifier.another_sender().run_once())
        assert [texts["invoice_count"] for texts in said(notifier)] == ["12"]
        assert len(await notifier.rows(attempts)) == 1


async def test_all_are_claimed_or_none(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        (due, *_) = await notifier.ledger.due(notifier.clock.now, 10)
        async with notifier.ledger.open(TENANT, notifier.clock.now) as book:
            lead = await book.intent(due.intent_id)
            assert lead is not None
            others = [each.intent for each in await book.siblings(lead, lead.contact_id, notifier.clock.now, 10)]
        async with notifier.engine.begin() as db:
            moved = sa.update(intents).where(intents.c.intent_id == others[0].intent_id)
            await db.execute(moved.values(state="cancelled"))
        async with notifier.ledger.open(TENANT, notifier.clock.now) as book:
            attempt = Attempt("v1.x", lead.intent_id, TENANT, "+919876543210", "statement")
            assert not await book.claim(lead, attempt, notifier.clock.now, others)
        assert sorted(await notifier.states()) == ["cancelled", "planned", "planned"]
        assert await notifier.rows(attempts) == []


async def test_a_crash_after_the_claim_leaves_all_unknown_and_one_status_settles_all(database_url: str) -> None:
    class Killed(BaseException):
        pass

    async def die() -> None:
        assert await notifier.states() == ["sending"] * 3
        raise Killed

    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        notifier.provider.meanwhile = die
        with pytest.raises(Killed):
            await notifier.sender.run_once()
        notifier.provider.meanwhile = None
        survivor = notifier.another_sender()
        notifier.clock.forward(seconds=61)
        await survivor.run_once()
        assert await notifier.states() == ["unknown"] * 3
        for _ in range(3):
            notifier.clock.forward(days=1)
            await survivor.run_once()
        assert len(notifier.provider.posts) == 1
        await tell(notifier, "delivered")
        assert await notifier.states() == ["delivered"] * 3


@pytest.mark.parametrize("code", [130429, 131056, 2])
async def test_a_retryable_refusal_sends_the_statement_once_more(database_url: str, code: int) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        notifier.provider.answers.append(Rejected(f"whatsapp_{code}", handling(code), code))
        await notifier.sender.run_once()
        assert await notifier.states() == ["planned"] * 3
        for _ in range(4):
            notifier.clock.forward(minutes=2)
            await notifier.sender.run_once()
        assert [texts["invoice_count"] for texts in said(notifier)] == ["3", "3"]
        assert await notifier.states() == ["accepted"] * 3


async def test_what_is_paid_between_two_tries_is_not_in_the_second(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        notifier.provider.answers.append(Rejected("whatsapp_131056", handling(131056), 131056))
        await notifier.sender.run_once()
        await notifier.look_answered(invoice={**THREE[0], "status": "PAID", "amount_paid": 100, "amount_due": 0})
        notifier.clock.forward(minutes=5)
        await notifier.sender.run_once()
        assert [texts["totals"] for texts in said(notifier)] == ["INR 600.00", "INR 500.00"]
        # Good news of the first try is believed of all that were in it; the second's is of two.
        await tell(notifier, "read", post=1)
        assert sorted(await notifier.states()) == ["cancelled", "read", "read"]


async def test_a_refusal_for_good_fails_all_of_them(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        notifier.provider.answers.append(Rejected("whatsapp_131026", HANDLINGS[131026], 131026))
        await notifier.sender.run_once()
        assert await notifier.states() == ["failed"] * 3
        await notifier.told()
        failed = [change for change in notifier.events.of(MessageChangedV1) if change.state == "failed"]
        assert [change.statement_of for change in failed] == [3, 3, 3]


@pytest.mark.parametrize("status", ["delivered", "failed"])
async def test_a_status_before_the_answer_is_all_of_theirs(database_url: str, status: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)

        async def early() -> None:
            reference = notifier.provider.posts[-1][1]
            raw = {"errors": [{"code": 131026}]} if status == "failed" else {}
            await notifier.learn(status_update(status, reference, f"wamid.{reference}", raw=raw))

        notifier.provider.meanwhile = early
        await notifier.sender.run_once()
        assert await notifier.states() == [status] * 3
        assert len(notifier.provider.posts) == 1


async def test_an_account_fault_told_by_a_status_plans_all_again_and_burns_nothing(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        await notifier.sender.run_once()
        await tell(notifier, "failed", raw={"errors": [{"code": 131042}]})
        assert {(row.state, row.tries) for row in await notifier.rows()} == {("planned", 0)}


async def test_a_person_settles_the_whole_statement_by_one_of_its_invoices(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        notifier.provider.answers.append(Unknown("timeout"))
        await notifier.sender.run_once()
        assert await notifier.states() == ["unknown"] * 3
        assert len(await resend(notifier.engine, TENANT, notifier.clock.now, "INV-2")) == 3
        notifier.provider.answers.append(Unknown("timeout"))
        notifier.clock.forward(seconds=CLAIM_SPACING.total_seconds())
        await notifier.sender.run_once()
        assert [texts["invoice_count"] for texts in said(notifier)] == ["3", "3"]
        assert len(await close(notifier.engine, TENANT, notifier.clock.now, "INV-1")) == 3
        assert await notifier.states() == ["failed"] * 3


async def test_accepted_is_all_of_theirs(database_url: str) -> None:
    async with world(database_url, grouped()) as notifier:
        await gathered(notifier, *THREE)
        notifier.provider.answers.append(Accepted("wamid.1"))
        await notifier.sender.run_once()
        await notifier.told()
        accepted = [change for change in notifier.events.of(MessageChangedV1) if change.state == "accepted"]
        assert sorted(change.invoice_id for change in accepted) == ["i1", "i2", "i3"]
