"""Whose reminders a cap counts: a person's, in any number of contacts and invoices of one organisation."""

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.adapters.sql import to_stage
from notifier.model import Intent, Snapshot, Tenant
from notifier.tables import intents, tenants
from shared.contracts.invoices import CauseKind
from shared.contracts.messages import MessageKind, MessageState
from support.builders import NOON, TENANT, make_enriched
from support.memory_ledger import MemoryBook
from support.notifier import tenant_policy, world
from unit.notifier.test_decide import intent

pytestmark = pytest.mark.integration
ONE, TWO = "+919876543210", "+919876543211"
CAPPED = tenant_policy(
    caps={"per_contact_per_week": 1, "per_contact_per_month": 2},
    contact_hours={"start": "00:00", "end": "24:00", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]},
)


@pytest.mark.parametrize(
    ("later", "days", "rule"),
    [
        ({"contact": {"contact_id": "a", "phone": ONE}}, 6, "weekly_cap"),
        ({"contact": {"contact_id": "a", "phone": ONE}}, 8, "due"),
        ({"contact": {"contact_id": "b", "phone": ONE}}, 6, "weekly_cap"),  # two contacts, one number
        ({"contact": {"contact_id": "a", "phone": TWO}}, 6, "weekly_cap"),  # the number has changed
        ({"contact": {"contact_id": "b", "phone": TWO}}, 6, "due"),
        ({"contact": {"contact_id": "a", "phone": ONE}, "tenant_id": "another"}, 6, "due"),  # another creditor
    ],
)
async def test_a_cap_is_a_persons(database_url: str, later: dict[str, Any], days: int, rule: str) -> None:
    async with world(database_url, CAPPED) as notifier:
        await notifier.take_in(contact={"contact_id": "a", "phone": ONE})
        await notifier.sender.run_once()
        assert await notifier.states() == ["accepted"]
        notifier.clock.forward(days=days)
        due_on = (notifier.clock.now - timedelta(days=7)).date()
        await notifier.take_in(invoice={"invoice_id": "second", "due_on": due_on}, **later)
        expected = ["accepted", "planned"] if rule == "due" else ["accepted"]
        assert sorted(await notifier.states()) == expected
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == len(expected)


async def test_an_alert_that_waits_for_its_groups_comes_with_the_next_poll(database_url: str) -> None:
    async with world(database_url, tenant_policy(exclude_groups=["No Reminders"])) as notifier:
        fresh: dict[str, Any] = {"invoice": {"due_on": None, "issued_on": NOON.date()}}
        event = {"kind": CauseKind.WEBHOOK, "event_type": "CREATE", "event_at": NOON}
        await notifier.take_in(cause=event, **fresh)
        assert await notifier.states() == []
        notifier.clock.forward(minutes=5)
        await notifier.take_in(cause={"kind": CauseKind.RECONCILE}, contact={"groups": ()}, **fresh)
        assert await notifier.states() == ["planned"]


async def test_the_double_in_memory_counts_as_the_ledger_does(database_url: str) -> None:
    rng, made = Random(3), []
    book = MemoryBook(Tenant(TENANT, NOON, announced=False, lost=False))
    for number in range(60):
        item = intent(
            rng.choice([MessageKind.REMINDER, MessageKind.REMINDER, MessageKind.ISSUED]),
            rng.choice([3, 7]),
            rng.choice(list(MessageState)),
            intent_id=f"i{number}",
            invoice_id=f"invoice-{number}",
            contact_id=rng.choice("abc"),
            claimed_at=rng.choice([None, NOON - timedelta(days=rng.choice([0, 6, 7, 8, 30, 31, 32]))]),
        )
        item = replace(item, stage=None) if item.kind is MessageKind.ISSUED else item
        made.append((item, rng.choice([ONE, TWO, None])))
        key = (item.invoice_id, item.kind, item.stage)
        book.intents[key], book.by_id[item.intent_id], book.phones[item.intent_id] = item, key, made[-1][1]
    async with world(database_url) as notifier:
        async with notifier.engine.begin() as db:
            await db.execute(sa.insert(tenants).values(tenant_id=TENANT, connected_at=NOON, announced=False))
            await db.execute(sa.insert(intents), [row(item, phone) for item, phone in made])
        for contact in "abcd":
            for phone in (ONE, TWO, None):
                reason = None if phone else "invalid"
                person = {"contact_id": contact, "phone": phone, "no_phone_reason": reason}
                snapshot = Snapshot.of(make_enriched(contact=person, invoice={"invoice_id": "invoice-5"}))
                for leaving in (None, made[5][0], made[9][0]):
                    async with notifier.ledger.open(TENANT, NOON) as real:
                        said = await real.history(snapshot, NOON, leaving=leaving)
                    assert said == await book.history(snapshot, NOON, leaving=leaving)


def row(item: Intent, phone: str | None) -> dict[str, Any]:
    same = ("intent_id", "tenant_id", "invoice_id", "invoice_number", "contact_id", "due_on", "due_at", "created_at")
    return {name: getattr(item, name) for name in (*same, "claimed_at", "tries", "looks")} | {
        "phone": phone,
        "kind": item.kind.value,
        "stage": to_stage(item.stage),
        "state": item.state.value,
        "changed_at": NOON,
    }
