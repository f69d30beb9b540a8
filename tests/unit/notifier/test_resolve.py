"""A person settles what nobody knows the end of."""

from pathlib import Path

import pytest

from notifier.answers import close, resend, unknown
from notifier.ports import Unknown
from notifier.tables import attempts
from support.builders import TENANT
from support.notifier import World, status_update, world
from unit.notifier.test_answers import run


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


async def leave_unknown(notifier: World, number: int = 1) -> None:
    notifier.provider.answers.append(Unknown("no_answer_ReadTimeout"))
    contact = {"contact_id": f"c{number}", "phone": f"+9198765432{number:02}"}
    await notifier.take_in(invoice={"invoice_id": f"i{number}", "number": f"INV-{number}"}, contact=contact)
    await notifier.sender.run_once()


async def test_what_is_sent_again_is_a_new_attempt_of_the_same_message(url: str) -> None:
    async with world(url) as notifier:
        await leave_unknown(notifier)
        (again,) = await resend(notifier.engine, TENANT, notifier.clock.now)
        row = await notifier.intent()
        assert (again.intent_id, row.state, row.reason) == (row.intent_id, "planned", "no_answer_ReadTimeout")
        notifier.clock.forward(seconds=10)
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"]
        assert len({reference for _, reference in notifier.provider.posts}) == 2
        assert len(await notifier.rows(attempts)) == 2
        assert await resend(notifier.engine, TENANT, notifier.clock.now) == []


async def test_the_last_look_is_still_taken_before_sending_again(url: str) -> None:
    async with world(url) as notifier:
        await leave_unknown(notifier)
        await resend(notifier.engine, TENANT, notifier.clock.now)
        paid = {"invoice_id": "i1", "number": "INV-1", "status": "PAID", "amount_due": 0, "amount_paid": 1}
        await notifier.look_answered(invoice=paid)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
        assert (await notifier.intent()).reason == "paid"


async def test_a_status_of_the_first_attempt_prevents_the_second(url: str) -> None:
    async with world(url) as notifier:
        await leave_unknown(notifier)
        await resend(notifier.engine, TENANT, notifier.clock.now)
        await notifier.learn(status_update("sent", notifier.provider.posts[0][1]))
        notifier.clock.forward(seconds=10)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
        assert await notifier.states() == ["sent"]


async def test_what_is_closed_is_failed_unless_it_did_arrive(url: str) -> None:
    async with world(url) as notifier:
        await leave_unknown(notifier)
        await close(notifier.engine, TENANT, notifier.clock.now)
        row = await notifier.intent()
        assert (row.state, row.reason) == ("failed", "closed_by_person")
        await notifier.learn(status_update("delivered", notifier.provider.posts[0][1]))
        assert await notifier.states() == ["delivered"]


async def test_one_invoice_may_be_chosen_and_only_what_is_unknown_is_touched(url: str) -> None:
    async with world(url) as notifier:
        await leave_unknown(notifier, 1)
        await leave_unknown(notifier, 2)
        await notifier.take_in(invoice={"invoice_id": "i3", "number": "INV-3"})
        assert [item.invoice_number for item in await unknown(notifier.engine, TENANT)] == ["INV-1", "INV-2"]
        assert await resend(notifier.engine, "another", notifier.clock.now) == []
        await close(notifier.engine, TENANT, notifier.clock.now, "INV-2")
        await resend(notifier.engine, TENANT, notifier.clock.now, "i1")
        assert {row.invoice_number: row.state for row in await notifier.rows()} == {
            "INV-1": "planned",
            "INV-2": "failed",
            "INV-3": "planned",
        }


async def test_the_command_lists_then_does_and_says_what_it_did(url: str) -> None:
    async with world(url) as notifier:
        await leave_unknown(notifier, 1)
        await leave_unknown(notifier, 2)
    listed = run("notifier.resolve", url, TENANT)
    assert "INV-1" in listed
    assert "unknown (no_answer_ReadTimeout)" in listed
    assert run("notifier.resolve", url, TENANT, "--invoice", "INV-1", "--resend") == (
        "INV-1  reminder +7  to be sent again\n1 to be sent again\n"
    )
    assert run("notifier.resolve", url, TENANT, "--close") == (
        "INV-2  reminder +7  closed as failed\n1 closed as failed\n"
    )
    assert run("notifier.resolve", url, TENANT) == "Nothing is unknown.\n"
