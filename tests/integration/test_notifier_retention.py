"""What is over goes when its time has come, a few rows at a time; nothing is said twice for that."""

from collections import Counter
from datetime import date
from typing import Any

import pytest

from notifier.adapters.retention import SqlRetention
from notifier.retention import KeepNoLonger
from notifier.tables import attempts, decisions, intents, opt_outs, recipients, snapshots
from shared.contracts.invoices import CauseKind
from shared.contracts.messages import MessageState
from shared.policy import Policy
from support.notifier import ALWAYS, World, inbound, world

pytestmark = pytest.mark.integration
PAID: dict[str, Any] = {"status": "PAID", "amount_due": 0, "amount_paid": 12500}


def keeping(notifier: World, policy: Policy | None = None) -> tuple[KeepNoLonger, Counter[str]]:
    removed: Counter[str] = Counter()
    ledger = SqlRetention(notifier.engine)
    loop = KeepNoLonger(
        ledger,
        policy or notifier.policy,
        clock=notifier.clock,
        removed=lambda what, rows: removed.update({what: rows}),
    )
    return loop, removed


async def everything_happens(notifier: World) -> None:
    """An alert, a reminder, a thank-you never sent, and then the payment."""
    created = {"kind": CauseKind.WEBHOOK, "event_type": "CREATE", "event_at": notifier.clock.now}
    await notifier.take_in(cause=created)
    await notifier.take_in()
    await notifier.sender.run_once()
    notifier.clock.forward(minutes=1)
    await notifier.look_answered()
    await notifier.sender.run_once()
    await notifier.learn(inbound("STOP", person_phone="+919811111111"))
    await notifier.take_in(invoice=PAID, cause={"kind": CauseKind.RECONCILE})


@pytest.mark.parametrize("days", [31, 400, 401, 1000])
async def test_the_same_events_later_send_nothing(database_url: str, days: int) -> None:
    async with world(database_url, ALWAYS) as notifier:
        began = notifier.clock.now
        await everything_happens(notifier)
        posts = len(notifier.provider.posts)
        assert posts == 2
        notifier.clock.forward(days=days)
        loop, removed = keeping(notifier)
        await loop.round()
        assert ("snapshots" in removed) == (days > 400)
        notifier.clock.forward(minutes=1)
        for cause in ({"kind": CauseKind.WEBHOOK, "event_type": "CREATE", "event_at": began}, {"kind": CauseKind.SCAN}):
            await notifier.take_in(cause=cause, read_at=began)
        await notifier.take_in(invoice=PAID, cause={"kind": CauseKind.RECONCILE}, read_at=began)
        for _ in range(3):
            await notifier.sender.run_once()
            notifier.clock.forward(minutes=2)
            await notifier.look_answered(invoice=PAID)
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == posts


async def test_what_is_needed_stays_and_what_is_over_goes(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await everything_happens(notifier)
        await notifier.take_in(
            invoice={"invoice_id": "open", "due_on": date(2026, 6, 23)}, contact={"contact_id": "c2"}
        )
        notifier.clock.forward(days=402)
        loop, removed = keeping(notifier)
        await loop.round()
        assert {row.invoice_id for row in await notifier.rows(snapshots)} == {"open"}
        assert {row.invoice_id for row in await notifier.rows(decisions)} == {"open"}
        assert await notifier.rows(attempts) == []
        assert await notifier.rows(recipients) == []
        assert [row.person for row in await notifier.rows(opt_outs)] == ["+919811111111"]
        rows = await notifier.rows(intents)
        assert len(rows) == 3
        assert [row.phone is None for row in rows if row.state != MessageState.PLANNED] == [True, True]
        assert removed["snapshots"] == 1
        assert await loop.round() == 0


async def test_an_unknown_message_keeps_its_attempt_and_its_invoice(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await notifier.take_in()
        await notifier.sender.run_once()
        async with notifier.engine.begin() as db:
            await db.execute(intents.update().values(state=MessageState.UNKNOWN.value))
        await notifier.take_in(invoice=PAID, cause={"kind": CauseKind.RECONCILE})
        notifier.clock.forward(days=402)
        await keeping(notifier)[0].round()
        assert len(await notifier.rows(attempts)) == len(await notifier.rows(snapshots)) == 1


async def test_each_organisation_has_its_own_time(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        policy = Policy.model_validate({"tenants": {"t2": {"retention": {"settled_snapshots_days": 62}}}})
        for number in range(4):
            await notifier.take_in(tenant_id="t2", invoice={"invoice_id": f"i{number}", **PAID})
        await notifier.take_in(invoice=PAID)
        notifier.clock.forward(days=63)
        loop, removed = keeping(notifier, policy)
        await loop.round()
        assert removed["snapshots"] == 4
        assert {row.tenant_id for row in await notifier.rows(snapshots)} != {"t2"}
