"""What an organisation's messages come to in a month, and what a rule holds."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters.sql import to_intent
from notifier.budget import HeldBack
from notifier.learning_tables import confirmations
from notifier.model import Intent
from notifier.rates import Bill
from notifier.tables import attempts, intents, snapshots
from shared.contracts.messages import MessageState
from shared.runtime.database import Millionths, for_reading

_GONE = [state.value for state in (MessageState.FAILED, MessageState.PLANNED)]


def month_of(on: date) -> tuple[date, date]:
    """Its first day, and the next month's."""
    first = on.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


async def spent(db: AsyncConnection, tenant_id: str, on: date, currency: str) -> Decimal:
    """See :meth:`notifier.ports.TenantBook.spent`; what certainly did not arrive costs nothing."""
    first, next_first = month_of(on)
    came_to = sa.case(
        (attempts.c.cost.is_not(None), attempts.c.cost),
        (sa.or_(attempts.c.outcome == "rejected", attempts.c.failed_at.is_not(None)), sa.literal(0, sa.BigInteger)),
        else_=attempts.c.estimate,
    )
    messages = sa.select(sa.type_coerce(sa.func.sum(came_to), Millionths)).where(
        attempts.c.tenant_id == tenant_id,
        attempts.c.sent_on >= first,
        attempts.c.sent_on < next_first,
        attempts.c.currency == currency,
    )
    said = sa.func.coalesce(confirmations.c.cost, confirmations.c.estimate)
    answers = sa.select(sa.type_coerce(sa.func.sum(said), Millionths)).where(
        confirmations.c.tenant_id == tenant_id,
        confirmations.c.state.not_in(_GONE),
        confirmations.c.sent_on >= first,
        confirmations.c.sent_on < next_first,
        confirmations.c.currency == currency,
    )
    row = (await db.execute(sa.select(messages.scalar_subquery(), answers.scalar_subquery()))).one()
    return (row[0] or Decimal(0)) + (row[1] or Decimal(0))


async def held_for(db: AsyncConnection, tenant_id: str, rule: str, limit: int) -> Sequence[tuple[Intent, str | None]]:
    """See :meth:`notifier.ports.TenantBook.held_for`."""
    rows = await db.execute(
        sa.select(intents).where(intents.c.tenant_id == tenant_id, *_held(rule)).order_by(intents.c.due_at).limit(limit)
    )
    return [(to_intent(row), row.phone) for row in rows]


class SpendingBook:
    """The part of :class:`notifier.ports.TenantBook` that knows of money."""

    _db: AsyncConnection
    _tenant_id: str
    _sums: dict[tuple[date, str], Decimal]
    """By month and currency, as read once in this transaction and with what it claimed since."""

    async def spent(self, on: date, currency: str) -> Decimal:
        month = month_of(on)[0], currency
        if month not in self._sums:
            self._sums[month] = await spent(self._db, self._tenant_id, on, currency)
        return self._sums[month]

    def _spend(self, bill: Bill | None) -> None:
        """Count what this transaction claims."""
        if bill is not None and (month := (month_of(bill.sent_on)[0], bill.currency)) in self._sums:
            self._sums[month] += bill.estimate or Decimal(0)

    async def held_for(self, rule: str, limit: int) -> Sequence[tuple[Intent, str | None]]:
        return await held_for(self._db, self._tenant_id, rule, limit)


class SqlHeld:
    """Who has messages that a rule holds; see :class:`notifier.budget.Held`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._reading = for_reading(engine)

    async def by_tenant(self, rule: str) -> Sequence[HeldBack]:
        counted = (
            sa.select(
                intents.c.tenant_id, sa.func.count().label("messages"), sa.func.max(intents.c.invoice_id).label("one")
            )
            .where(*_held(rule))
            .group_by(intents.c.tenant_id)
            .subquery()
        )
        known = sa.and_(snapshots.c.tenant_id == counted.c.tenant_id, snapshots.c.invoice_id == counted.c.one)
        async with self._reading.connect() as db:
            rows = await db.execute(
                sa.select(counted, snapshots.c.body).outerjoin(snapshots, known).order_by(counted.c.tenant_id)
            )
            return [
                HeldBack(row.tenant_id, row.messages, (row.body or {}).get("organisation", {}).get("time_zone", "UTC"))
                for row in rows
            ]


def _held(rule: str) -> list[sa.ColumnElement[bool]]:
    return [intents.c.state == MessageState.HELD.value, intents.c.reason == rule]
