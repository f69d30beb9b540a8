"""``python -m notifier.costs [--tenant X] [--json]``: messages and what they cost, by month, kind and category."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import command
from notifier.columns import aligned
from notifier.learning_tables import confirmations
from notifier.tables import attempts, intents
from shared.contracts.messages import MessageState
from shared.runtime.database import for_reading

STOP_CONFIRMED = "stop_confirmed"
"""The kind of an answer to STOP, beside those of messages about invoices."""
_COLUMNS = ("tenant", "month", "kind", "category", "messages", "arrived", "cost", "expected", "unpriced")
_NOT_SENT = (MessageState.FAILED.value, MessageState.PLANNED.value)


@dataclass(frozen=True, slots=True)
class Costs:
    """What left, or may have, in one calendar month of an organisation.

    ``cost`` is of those that arrived, as WhatsApp bills them, ``expected`` the estimate for those that may still.
    ``unpriced`` counts the messages whose price is not known.
    """

    tenant_id: str
    month: str
    kind: str
    category: str | None
    currency: str | None
    messages: int
    arrived: int
    cost: Decimal
    expected: Decimal
    unpriced: int

    def as_json(self) -> dict[str, Any]:
        """Stable keys; money as text."""
        return {key: str(value) if isinstance(value, Decimal) else value for key, value in asdict(self).items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m notifier.costs", description=__doc__)
    parser.add_argument("--tenant", help="one organisation's tenant id; all without")
    parser.add_argument("--json", action="store_true", help="a JSON list with stable keys")
    options = parser.parse_args()

    async def answer(engine: AsyncEngine) -> str:
        await command.must_be_known(engine, options.tenant or None)
        found = await costs(engine, options.tenant or None)
        return json.dumps([item.as_json() for item in found], indent=2) if options.json else table(found)

    command.run(answer)


async def costs(engine: AsyncEngine, tenant_id: str | None = None) -> list[Costs]:
    """By organisation, month, kind, category and currency."""
    async with for_reading(engine).connect() as db:
        rows = [row for question in (_messages(), _answers()) for row in await db.execute(_of(question, tenant_id))]
    days = [
        Costs(
            tenant_id=row.tenant_id,
            month=f"{row.sent_on:%Y-%m}" if row.sent_on else "-",
            kind=row.kind,
            category=row.category,
            currency=row.currency,
            messages=row.messages,
            arrived=row.arrived or 0,
            cost=row.cost or Decimal(0),
            expected=row.expected or Decimal(0),
            unpriced=row.unpriced or 0,
        )
        for row in rows
    ]
    return [_sum(list(same)) for _, same in groupby(sorted(days, key=_key), key=_key)]


def _messages() -> sa.Select[Any]:
    """A day's at a time: which month a date lies in, the databases say each in its own way."""
    failed = sa.and_(attempts.c.failed_at.is_not(None), attempts.c.arrived_at.is_(None))
    return (
        _counted(attempts, intents.c.kind)
        .join(intents, intents.c.intent_id == attempts.c.intent_id)
        .where(sa.func.coalesce(attempts.c.outcome, "") != "rejected", sa.not_(failed))
    )


def _answers() -> sa.Select[Any]:
    said = confirmations.c.claimed_at.is_not(None) & confirmations.c.state.not_in(_NOT_SENT)
    return _counted(confirmations, sa.literal(STOP_CONFIRMED)).where(said)


def _counted(table: sa.Table, kind: sa.ColumnElement[str]) -> sa.Select[Any]:
    priced, arrived = table.c.cost.is_not(None), table.c.arrived_at.is_not(None)
    groups = (table.c.tenant_id, table.c.sent_on, kind, table.c.category, table.c.currency)
    unknown = sa.case((arrived, sa.not_(priced)), else_=table.c.estimate.is_(None))
    return (
        sa.select(
            table.c.tenant_id,
            table.c.sent_on,
            kind.label("kind"),
            table.c.category,
            table.c.currency,
            sa.func.count().label("messages"),
            sa.func.count(table.c.arrived_at).label("arrived"),
            sa.func.sum(table.c.cost).label("cost"),
            sa.func.sum(sa.case((arrived, None), else_=table.c.estimate)).label("expected"),
            sa.func.sum(sa.case((unknown, 1), else_=0)).label("unpriced"),
        )
        .group_by(*groups)
        .order_by(*groups)
    )


def _of(question: sa.Select[Any], tenant_id: str | None) -> sa.Select[Any]:
    return question if tenant_id is None else question.where(question.selected_columns.tenant_id == tenant_id)


def _key(item: Costs) -> tuple[str, ...]:
    return item.tenant_id, item.month, item.kind, item.category or "", item.currency or ""


def _sum(same: Sequence[Costs]) -> Costs:
    first = same[0]
    return Costs(
        first.tenant_id,
        first.month,
        first.kind,
        first.category,
        first.currency,
        messages=sum(item.messages for item in same),
        arrived=sum(item.arrived for item in same),
        cost=sum((item.cost for item in same), Decimal(0)),
        expected=sum((item.expected for item in same), Decimal(0)),
        unpriced=sum(item.unpriced for item in same),
    )


def table(found: Sequence[Costs]) -> str:
    """Aligned columns for a terminal, and under them each currency's whole."""
    if not found:
        return "No message has left."
    whole: dict[str, Decimal] = {}
    for item in found:
        if item.currency:
            whole[item.currency] = whole.get(item.currency, Decimal(0)) + item.cost
    total = ", ".join(money(amount, currency) for currency, amount in sorted(whole.items()))
    return f"{aligned(_COLUMNS, map(_row, found))}\ntotal: {total or 'unknown'}, before tax"


def _row(item: Costs) -> tuple[str, ...]:
    return (
        item.tenant_id,
        item.month,
        item.kind,
        item.category or "-",
        str(item.messages),
        str(item.arrived),
        money(item.cost, item.currency),
        money(item.expected, item.currency),
        str(item.unpriced),
    )


def money(amount: Decimal | None, currency: str | None) -> str:
    """``INR 0.115``; a dash for what is not known."""
    return "-" if amount is None or currency is None else f"{currency} {amount.normalize():f}"


if __name__ == "__main__":
    main()
