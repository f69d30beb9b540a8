"""Keeps each organisation's plan of the day, and reads what came of it."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters.facts import facts
from notifier.adapters.sql import from_stage, to_intent, upsert
from notifier.adapters.switches import halts
from notifier.day_plan import DayPlan, read_plan
from notifier.forecast_book import Facts, Key
from notifier.model import Snapshot
from notifier.reconciliation import Comparison, Decided, Happened
from notifier.tables import day_plans, decisions, intents, snapshots, tenants
from shared.contracts.messages import MessageKind
from shared.runtime.database import for_reading

_DAY = timedelta(days=1)


class SqlDayPlans:
    """See :class:`notifier.plan_watch.DayPlans`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = for_reading(engine)

    async def organisations(self) -> Sequence[str]:
        async with self._reading.connect() as db:
            return list(await db.scalars(sa.select(tenants.c.tenant_id).order_by(tenants.c.tenant_id)))

    async def facts(self, tenant_id: str, now: datetime) -> Facts | None:
        async with self._reading.connect() as db:
            return await facts(db, tenant_id, now)

    async def newest(self, tenant_id: str) -> datetime | None:
        """When the newest day that is planned ends."""
        async with self._reading.connect() as db:
            ours = day_plans.c.tenant_id == tenant_id
            newest = sa.select(day_plans.c.ends_at).where(ours).order_by(day_plans.c.day.desc()).limit(1)
            ends_at: datetime | None = await db.scalar(newest)
            return ends_at

    async def keep(self, tenant_id: str, plan: DayPlan) -> None:
        """The first plan of a day counts, whichever replica made it."""
        async with self._engine.begin() as db:
            insert = upsert(db, day_plans).values(
                tenant_id=tenant_id,
                day=plan.day,
                made_at=plan.made_at,
                starts_at=plan.made_at,
                ends_at=plan.ends_at,
                body=plan.as_json(),
            )
            await db.execute(insert.on_conflict_do_nothing(index_elements=["tenant_id", "day"]))

    async def over(self, tenant_id: str, now: datetime) -> Sequence[DayPlan]:
        """Days that have ended and were not compared yet."""
        which = sa.and_(
            day_plans.c.tenant_id == tenant_id, day_plans.c.ends_at <= now, day_plans.c.compared_at.is_(None)
        )
        async with self._reading.connect() as db:
            return [_plan(row) for row in await db.execute(sa.select(day_plans).where(which).order_by(day_plans.c.day))]

    async def find(self, tenant_id: str, day: date) -> tuple[DayPlan, dict[str, Any] | None] | None:
        """The plan of that day, and the comparison once there is one."""
        which = sa.and_(day_plans.c.tenant_id == tenant_id, day_plans.c.day == day)
        async with self._reading.connect() as db:
            row = (await db.execute(sa.select(day_plans).where(which))).one_or_none()
        return None if row is None else (_plan(row), row.comparison)

    async def keep_comparison(self, tenant_id: str, comparison: Comparison, now: datetime) -> None:
        ours = sa.and_(day_plans.c.tenant_id == tenant_id, day_plans.c.day == comparison.day)
        async with self._engine.begin() as db:
            news = {"compared_at": now, "comparison": comparison.as_json()}
            await db.execute(sa.update(day_plans).where(ours, day_plans.c.compared_at.is_(None)).values(news))

    async def happened(self, tenant_id: str, plan: DayPlan) -> Happened:
        async with self._reading.connect() as db:
            return await _happened(db, tenant_id, plan)


def _plan(row: sa.Row[Any]) -> DayPlan:
    return read_plan(row.day, row.made_at, row.ends_at, row.body)


async def _happened(db: AsyncConnection, tenant_id: str, plan: DayPlan) -> Happened:
    names = sorted({message.invoice_id for message in plan.messages})
    that_day = sa.and_(intents.c.claimed_at >= plan.made_at, intents.c.claimed_at < plan.ends_at)
    found = await db.execute(
        sa.select(intents).where(intents.c.tenant_id == tenant_id, sa.or_(intents.c.invoice_id.in_(names), that_day))
    )
    decided = await db.execute(
        sa.select(decisions).where(
            decisions.c.tenant_id == tenant_id,
            sa.or_(decisions.c.invoice_id.in_(names), decisions.c.decided_at >= plan.made_at),
        )
    )
    read = await db.scalars(
        sa.select(snapshots.c.body).where(snapshots.c.tenant_id == tenant_id, snapshots.c.invoice_id.in_(names))
    )
    tenant = (await db.execute(sa.select(tenants).where(tenants.c.tenant_id == tenant_id))).one()
    stops = await halts(db)
    rules = [_decided(row) for row in decided]
    return Happened(
        intents={(item.invoice_id, item.kind, item.stage): item for item in map(to_intent, found)},
        decisions={item.key: item for item in rules},
        snapshots={item.invoice.invoice_id: item for item in map(Snapshot.model_validate, read)},
        paused=stops.is_paused(tenant_id),
        lost=tenant.lost_at is not None,
        stopped=[item.reason for item in stops.breakers],
    )


def _decided(row: sa.Row[Any]) -> Decided:
    key: Key = (row.invoice_id, MessageKind(row.kind), from_stage(row.stage))
    return Decided(key, row.verdict, row.rule, row.decided_at)
