"""What a message costs is what WhatsApp says it is billed as, told once; a month's budget holds reminders."""

import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from notifier import answers
from notifier.adapters.spending import spent
from notifier.costs import costs, table
from notifier.orders import standing
from notifier.ports import Accepted, Rejected, Unknown
from notifier.stops import report
from notifier.tables import attempts
from notifier.whatsapp_errors import handling
from shared.contracts.messages import MessageChangedV1
from shared.policy import Policy
from support.builders import TENANT
from support.notifier import ALWAYS, World, status_update, world

pytestmark = pytest.mark.integration
INDIA = Decimal("0.115")
REGULAR = {"pricing": {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"}}
FREE = {"pricing": {"billable": False, "pricing_model": "PMP", "type": "free_entry_point", "category": "utility"}}
MARKETING = {"pricing": {"pricing_model": "PMP", "type": "regular", "category": "marketing"}}


def budgeted(budget: str | None) -> Policy:
    rules = ALWAYS.defaults.model_copy(update={"monthly_budget": budget and Decimal(budget)})
    return Policy(defaults=rules)


async def plan(notifier: World, count: int, first: int = 0, **changes: Any) -> None:
    due_on = notifier.clock.now.date() - timedelta(days=7)
    for number in range(first, first + count):
        contact = {"contact_id": f"contact-{number}", "phone": f"+9198765432{number:02d}"}
        invoice = {"invoice_id": f"invoice-{number}", "number": f"INV-{number}", "due_on": due_on}
        await notifier.take_in(invoice=invoice, contact=contact, **changes)


async def send(notifier: World, count: int = 1, **changes: Any) -> list[str]:
    await plan(notifier, count, **changes)
    await notifier.sender.run_once()
    return [reference for _, reference in notifier.provider.posts]


async def hear(notifier: World, status: str, reference: str, raw: dict[str, Any] | None = None) -> None:
    await notifier.learn(status_update(status, reference, raw=raw or {}))


async def costs_told(notifier: World) -> list[tuple[str, Decimal, str | None]]:
    await notifier.told()
    changes: list[MessageChangedV1] = notifier.events.of(MessageChangedV1)
    return [(change.state.value, change.cost, change.currency) for change in changes if change.cost is not None]


NEWS = [("sent", REGULAR), ("delivered", REGULAR), ("read", None)]


@pytest.mark.parametrize("order", list(itertools.permutations(NEWS)))
async def test_every_order_of_statuses_tells_the_same_cost_once(
    database_url: str, order: list[tuple[str, dict[str, Any] | None]]
) -> None:
    async with world(database_url, ALWAYS) as notifier:
        (reference,) = await send(notifier)
        for status, raw in (*order, *order):
            await hear(notifier, status, reference, raw)
        ((state, amount, currency),) = await costs_told(notifier)
        assert (amount, currency) == (INDIA, "INR")
        assert state in {"delivered", "read"}
        (attempt,) = await notifier.rows(attempts)
        assert (attempt.cost, attempt.market, attempt.category, attempt.pricing_type) == (
            INDIA,
            "IN",
            "utility",
            "regular",
        )


@pytest.mark.parametrize(
    ("news", "expected"),
    [
        ([("sent", REGULAR), ("delivered", None)], INDIA),
        ([("sent", REGULAR), ("failed", None)], None),
        ([("sent", REGULAR), ("failed", None), ("delivered", None)], INDIA),
        ([("delivered", FREE)], Decimal(0)),
        ([("sent", REGULAR), ("delivered", MARKETING)], Decimal("0.8631")),
        ([("delivered", {"pricing": {"billable": False}})], Decimal(0)),
        ([("delivered", {"pricing": {"type": "regular", "category": "something_new"}})], None),
        ([("delivered", None)], None),
        ([("delivered", {"pricing": "none"})], None),
    ],
)
async def test_only_what_arrived_costs_and_what_nobody_tells_is_not_guessed(
    database_url: str, news: list[tuple[str, dict[str, Any] | None]], expected: Decimal | None
) -> None:
    async with world(database_url, ALWAYS) as notifier:
        (reference,) = await send(notifier)
        for status, raw in news:
            await hear(notifier, status, reference, raw)
        assert [amount for _, amount, _ in await costs_told(notifier)] == ([] if expected is None else [expected])


async def test_a_status_before_the_answer_brings_its_price_along(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:

        async def status_first() -> None:
            await notifier.learn(status_update("delivered", None, "wamid.early", raw=REGULAR))

        notifier.provider.meanwhile = status_first
        notifier.provider.answers.append(Accepted("wamid.early"))
        await send(notifier)
        assert [amount for _, amount, _ in await costs_told(notifier)] == [INDIA]


async def test_a_market_without_a_rate_has_no_cost(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        await notifier.take_in(contact={"phone": "+447400123456"})
        await notifier.sender.run_once()
        await hear(notifier, "delivered", notifier.provider.posts[0][1], REGULAR)
        assert await costs_told(notifier) == []
        (found,) = await costs(notifier.engine)
        assert (found.messages, found.unpriced) == (1, 1)
        assert not found.cost + found.expected


async def test_a_month_as_it_is_shown(database_url: str) -> None:
    async with world(database_url, ALWAYS) as notifier:
        notifier.provider.answers.extend([Accepted("a"), Accepted("b"), Rejected("whatsapp_131026", handling(131026))])
        references = await send(notifier, 4)
        await hear(notifier, "read", references[0], REGULAR)
        await hear(notifier, "failed", references[1], {"errors": [{"code": 131026}]})
        found = await costs(notifier.engine, TENANT)
        shown = [(item.month, item.kind, item.category, item.messages, item.cost, item.expected) for item in found]
        assert shown == [
            ("2026-06", "reminder", None, 1, 0, INDIA),
            ("2026-06", "reminder", "utility", 1, INDIA, 0),
        ]
        assert found[1].as_json()["cost"] == "0.115"
        assert table(found).endswith("total: INR 0.115, before tax")
        assert await costs(notifier.engine, "another") == []
        told = {
            answer.invoice_id: (answer.cost, answer.currency) for answer in await answers.why(notifier.engine, TENANT)
        }
        assert told["invoice-0"] == (INDIA, "INR")


async def test_a_budget_holds_the_reminders_beyond_it_and_shows_it(database_url: str) -> None:
    async with world(database_url, budgeted("0.35")) as notifier:
        await send(notifier, 5)
        assert len(notifier.provider.posts) == 3
        assert sorted(await notifier.states()) == ["accepted"] * 3 + ["held"] * 2
        assert (await notifier.told()).count("held") == 2
        rules = {answer.rule for answer in await answers.why(notifier.engine, TENANT) if answer.state == "held"}
        assert rules == {"monthly_budget"}
        await notifier.budgets().run_once()
        assert notifier.over_budget == [{TENANT: 2}]
        assert "raise monthly_budget" in report(await standing(notifier.engine))


@pytest.mark.parametrize(
    ("status", "raw", "more"), [("failed", None, 1), ("delivered", FREE, 1), ("delivered", REGULAR, 0)]
)
async def test_what_turns_out_to_cost_nothing_makes_room(
    database_url: str, status: str, raw: dict[str, Any] | None, more: int
) -> None:
    async with world(database_url, budgeted("0.23")) as notifier:
        references = await send(notifier, 4)
        await hear(notifier, status, references[0], raw)
        await notifier.budgets().run_once()
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 2 + more


@pytest.mark.parametrize("outcome", [Unknown("no_answer"), Rejected("whatsapp_131026", handling(131026))])
async def test_what_may_have_left_is_counted_and_what_did_not_is_not(database_url: str, outcome: Any) -> None:
    async with world(database_url, budgeted("0.115")) as notifier:
        notifier.provider.answers.append(outcome)
        await send(notifier, 2)
        await notifier.budgets().run_once()
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == (1 if isinstance(outcome, Unknown) else 2)


async def test_a_raised_budget_lets_go_what_fits(database_url: str) -> None:
    async with world(database_url, budgeted("0.115")) as notifier:
        await send(notifier, 4)
        await notifier.budgets(budgeted("0.345")).run_once()
        assert sorted(await notifier.states()) == ["accepted", "held", "planned", "planned"]
        await notifier.budgets(budgeted(None)).run_once()
        assert "held" not in await notifier.states()


async def test_the_next_month_of_the_organisation_lets_go_by_the_ordinary_rules(database_url: str) -> None:
    india = {"organisation": {"time_zone": "Asia/Kolkata"}}
    async with world(database_url, budgeted("0.115")) as notifier:
        notifier.clock.now = datetime(2026, 6, 30, 18, 0, tzinfo=UTC)  # half past eleven at night in India
        await send(notifier, 2, **india)
        await notifier.budgets().run_once()
        assert len(notifier.provider.posts) == 1
        notifier.clock.forward(minutes=45)
        await notifier.budgets().run_once()
        assert await notifier.states() == ["accepted", "planned"]
        for number in range(2):
            paid = {"status": "PAID", "amount_due": 0, "amount_paid": 12500} if number else {}
            invoice = {"invoice_id": f"invoice-{number}", "due_on": date(2026, 6, 23), **paid}
            await notifier.look_answered(invoice=invoice, **india)
        assert await notifier.states() == ["accepted", "cancelled"]


async def test_a_person_may_release_what_the_budget_holds(database_url: str) -> None:
    async with world(database_url, budgeted("0.1")) as notifier:
        await send(notifier, 2)
        assert notifier.provider.posts == []
        assert await answers.release(notifier.engine, TENANT, notifier.clock.now) == 2
        await notifier.sender.run_once()
        assert len(notifier.provider.posts) == 2


async def test_alerts_do_not_wait_for_money_but_cost_it(database_url: str) -> None:
    async with world(database_url, budgeted("0.1")) as notifier:
        await plan(notifier, 1, cause={"kind": "webhook", "event_type": "CREATE", "event_at": notifier.clock.now})
        await plan(notifier, 1, first=1)
        await notifier.sender.run_once()
        assert sorted((row.kind, row.state) for row in await notifier.rows()) == [
            ("issued", "accepted"),
            ("reminder", "held"),
        ]


async def test_the_month_is_added_up_once_for_all_that_leave_together(database_url: str) -> None:
    async with world(database_url, budgeted("0.345")) as notifier:
        sums: list[str] = []

        def note(_: object, __: object, statement: str, *___: object) -> None:
            if "sum(" in statement and "estimate" in statement:
                sums.append(statement)

        sa.event.listen(notifier.engine.sync_engine, "before_cursor_execute", note)
        await send(notifier, 5)
        assert sorted(await notifier.states()) == ["accepted"] * 3 + ["held"] * 2
        assert len(sums) == 1


async def test_the_month_is_added_up_from_an_index_alone(tmp_path: Path) -> None:
    async with world(f"sqlite:///{tmp_path}/ledger.db", ALWAYS) as notifier, notifier.engine.connect() as db:
        plans: list[str] = []

        def note(connection: sa.Connection, cursor: Any, statement: str, values: Any, *_: object) -> None:
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall())

        sa.event.listen(notifier.engine.sync_engine, "before_cursor_execute", note)
        await spent(db, TENANT, date(2026, 6, 23), "INR")
        for table in ("attempts", "confirmations"):
            assert any(f"SEARCH {table} USING COVERING INDEX {table}_spent" in plan for plan in plans)
