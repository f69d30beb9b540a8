"""In approval mode nothing leaves before a person says so; what is refused never does; who said it is kept."""

from datetime import date, timedelta

import pytest

from notifier import approvals
from notifier.answers import held, why
from notifier.approvals import Which
from notifier.release import report
from shared.policy import Policy
from support.builders import NOON, TENANT
from support.notifier import ALWAYS, World, world

pytestmark = pytest.mark.integration
APPROVAL = Policy.model_validate({"defaults": ALWAYS.defaults.model_dump() | {"mode": "approval"}})
TO = "+91987654{:04}"


async def read(notifier: World, *numbers: int, due_on: date = date(2026, 6, 16)) -> None:
    for number in numbers:
        contact = {"contact_id": f"c{number}", "name": f"Trader {number}", "phone": TO.format(number)}
        invoice = {"invoice_id": f"i{number}", "number": f"INV-{number}", "due_on": due_on}
        await notifier.take_in(invoice=invoice, contact=contact)


def reached(notifier: World) -> set[str]:
    return {message.to for message, _ in notifier.provider.posts}


async def test_some_are_let_go_some_refused_and_the_others_wait(database_url: str) -> None:
    async with world(database_url, APPROVAL) as notifier:
        await read(notifier, 1, 2, 3, 4, 5)
        await notifier.sender.run_once()
        assert reached(notifier) == set()
        listed = report(await held(notifier.engine, TENANT), [])
        for said in ("INV-1", "Trader 1", "reminder +7", "approval", "2026-06-23 12:00 UTC", "5 wait."):
            assert said in listed
        now = notifier.clock.now
        assert await approvals.let_go(notifier.engine, Which(TENANT, invoice="INV-1"), "asha", now) == 1
        assert await approvals.let_go(notifier.engine, Which(TENANT, contact="Trader 2"), "asha", now) == 1
        assert await approvals.refuse(notifier.engine, Which(TENANT, contact="c3"), "ben", now) == 1
        assert await approvals.refuse(notifier.engine, Which("another"), "ben", now) == 0
        await notifier.sender.run_once()
        assert reached(notifier) == {TO.format(1), TO.format(2)}
        assert len(await held(notifier.engine, TENANT)) == 2
        words = await approvals.words(notifier.engine, TENANT)
        assert sorted((word.released, word.messages, word.said_by, word.said_at) for word in words) == [
            (False, 1, "ben", NOON),
            (True, 2, "asha", NOON),
        ]
        assert "ben" in report([], words)


async def test_what_was_refused_is_not_planned_again_for_that_stage(database_url: str) -> None:
    async with world(database_url, APPROVAL) as notifier:
        await read(notifier, 1)
        await approvals.refuse(notifier.engine, Which(TENANT), "ben", notifier.clock.now)
        for _ in range(3):
            notifier.clock.forward(hours=20)
            await read(notifier, 1)
        await approvals.let_go(notifier.engine, Which(TENANT), "ben", notifier.clock.now)
        await notifier.sender.run_once()
        assert reached(notifier) == set()
        (answer,) = await why(notifier.engine, TENANT)
        assert (answer.rule, answer.state, answer.reason) == ("rejected", "cancelled", "rejected")
        notifier.clock.now = NOON + timedelta(days=7)
        await read(notifier, 1)
        assert [item.stage for item in await held(notifier.engine, TENANT)] == [14]


async def test_from_live_to_approval_holds_what_is_planned_already(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await read(notifier, 1, 2)
        assert await notifier.states() == ["planned", "planned"]
        notifier.policy = APPROVAL
        notifier.sender = notifier.another_sender()
        await notifier.sender.run_once()
        assert reached(notifier) == set()
        assert {(row.state, row.reason) for row in await notifier.rows()} == {("held", "approval")}
        await approvals.let_go(notifier.engine, Which(TENANT, invoice="i2"), "asha", notifier.clock.now)
        await notifier.sender.run_once()
        assert reached(notifier) == {TO.format(2)}
