"""What a person released leaves, whatever holds the others that gather with it."""

from decimal import Decimal

import pytest
import sqlalchemy as sa

from notifier.approvals import Which, let_go
from notifier.gathering import GATHERING
from notifier.tables import intents
from shared.policy import Brake
from support.builders import TENANT
from support.notifier import world
from support.statements import gathered, grouped, overdue, said

pytestmark = pytest.mark.integration


async def test_what_a_person_released_leaves_though_the_budget_holds_what_gathers_with_it(database_url: str) -> None:
    broke, rich = grouped(monthly_budget=Decimal(0)), grouped(monthly_budget=Decimal(100))
    async with world(database_url, broke) as notifier:
        await gathered(notifier, overdue(1), overdue(2))
        await notifier.sender.run_once()
        for number in (1, 2):
            await let_go(notifier.engine, Which(TENANT, invoice=f"i{number}"), "asha", notifier.clock.now)
        await notifier.take_in(invoice=overdue(3))
        notifier.clock.forward(seconds=GATHERING.total_seconds() + 60)
        for number in (1, 2, 3):
            await notifier.look_answered(invoice=overdue(number))
        await notifier.sender.run_once()
        assert [each["invoice_count"] for each in said(notifier)] == ["2"]
        assert sorted(await notifier.states()) == ["accepted", "accepted", "held"]
        await notifier.budgets(rich).run_once()
        assert sorted(await notifier.states()) == ["accepted", "accepted", "planned"]


async def test_what_was_released_once_and_is_held_for_the_budget_is_let_go_too(database_url: str) -> None:
    async with world(database_url, grouped(monthly_budget=Decimal(0))) as notifier:
        await gathered(notifier, overdue(1))
        await notifier.sender.run_once()
        async with notifier.engine.begin() as db:
            await db.execute(sa.update(intents).values(released_at=notifier.clock.now))
        await notifier.budgets(grouped(monthly_budget=Decimal(100))).run_once()
        assert await notifier.states() == ["planned"]


async def test_what_a_person_released_leaves_though_the_brake_holds_what_gathers_with_it(database_url: str) -> None:
    tight = grouped(brake=Brake(usual_floor=0, usual_times=0))
    async with world(database_url, tight) as notifier:
        await gathered(notifier, overdue(1))
        await notifier.sender.run_once()
        await let_go(notifier.engine, Which(TENANT, invoice="i1"), "asha", notifier.clock.now)
        await notifier.take_in(invoice=overdue(2))
        notifier.clock.forward(seconds=GATHERING.total_seconds() + 60)
        for number in (1, 2):
            await notifier.look_answered(invoice=overdue(number))
        await notifier.sender.run_once()
        assert [each["invoice_number"] for each in said(notifier)] == ["INV-1"]
        assert sorted((row.invoice_id, row.state) for row in await notifier.rows()) == [
            ("i1", "accepted"),
            ("i2", "held"),
        ]
