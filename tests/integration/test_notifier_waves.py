"""Waves that are too much: of one organisation after a new date, and of many organisations together."""

from typing import Any

import pytest

from notifier.answers import release
from shared.policy import Policy
from support.builders import TENANT
from support.notifier import ALWAYS, World, world

pytestmark = pytest.mark.integration


def braking(**brake: Any) -> Policy:
    rules = ALWAYS.defaults.model_copy(update={"brake": ALWAYS.defaults.brake.model_copy(update=brake)})
    return ALWAYS.model_copy(update={"defaults": rules})


async def plan(notifier: World, *numbers: int, tenant: str = TENANT, **changes: object) -> None:
    for number in numbers:
        contact = {"contact_id": f"c{number}", "phone": f"+91987654{number:04}"}
        invoice = {"invoice_id": f"i{number}", "number": f"INV-{number}", **changes}
        await notifier.take_in(tenant_id=tenant, invoice=invoice, contact=contact)


async def test_what_was_released_and_got_another_date_is_a_wave_again(database_url: str) -> None:
    async with world(database_url, braking(usual_floor=3, per_tenant_per_hour=3)) as notifier:
        await plan(notifier, *range(5))
        await notifier.sender.run_once()
        assert set(await notifier.states()) == {"held"}
        await release(notifier.engine, TENANT, notifier.clock.now)
        await plan(notifier, *range(5), due_on="2026-07-16")
        assert set(await notifier.states()) == {"cancelled"}
        notifier.clock.forward(days=30)
        await plan(notifier, *range(5), due_on="2026-07-16")
        await notifier.sender.run_once()
        assert set(await notifier.states()) == {"held"}
        assert notifier.provider.posts == []


async def test_what_was_released_and_comes_back_on_the_same_date_stays_released(database_url: str) -> None:
    async with world(database_url, braking(usual_floor=3, per_tenant_per_hour=3)) as notifier:
        await plan(notifier, *range(5))
        await notifier.sender.run_once()
        await release(notifier.engine, TENANT, notifier.clock.now)
        await plan(notifier, *range(5), amount_due=0, amount_paid=12500, status="PAID")
        await plan(notifier, *range(5))
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 5


async def test_the_ceiling_holds_the_wave_of_many_organisations_whole(database_url: str) -> None:
    policy = braking(per_installation_per_hour=20, usual_floor=5, per_tenant_per_hour=5)
    async with world(database_url, policy) as notifier:
        for tenant in range(10):
            await plan(notifier, *(tenant * 10 + each for each in range(4)), tenant=f"t{tenant}")
        await notifier.sender.run_once()
        assert notifier.provider.posts == []
        assert {(row.state, row.reason) for row in await notifier.rows()} == {("held", "ceiling")}
        await release(notifier.engine, "t1", notifier.clock.now)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 4


async def test_one_organisation_s_wave_that_is_held_by_itself_holds_no_other(database_url: str) -> None:
    policy = braking(per_installation_per_hour=20, usual_floor=5, per_tenant_per_hour=5)
    async with world(database_url, policy) as notifier:
        await plan(notifier, *range(30), tenant="wrong")
        await plan(notifier, *range(40, 44), tenant="right")
        await notifier.sender.run_once()
        states = {(row.tenant_id, row.state, row.reason) for row in await notifier.rows()}
        assert states == {("wrong", "held", "brake"), ("right", "accepted", None)}


async def test_what_was_held_for_the_ceiling_lets_others_go_an_hour_later(database_url: str) -> None:
    policy = braking(per_installation_per_hour=6, usual_floor=5, per_tenant_per_hour=5)
    async with world(database_url, policy) as notifier:
        await plan(notifier, *range(4), tenant="t1")
        await plan(notifier, *range(4, 8), tenant="t2")
        await notifier.sender.run_once()
        assert notifier.provider.posts == []
        notifier.clock.forward(minutes=61)
        await plan(notifier, 20, tenant="t3")
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 1
