"""How large an organisation's wave is beside what is usual for it, and holding it whole."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters import prepared
from notifier.adapters.prepared import parameter
from notifier.adapters.sql import to_intent
from notifier.model import Intent
from notifier.ports import Wave
from notifier.tables import attempts, intents, sent_hours, tenants
from notifier.whatsapp_errors import ErrorClass
from shared.contracts.messages import MessageState

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
USUAL_DAYS = 28
_HELD_BACK = (ErrorClass.ACCOUNT.value, ErrorClass.TEMPLATE.value)


async def wave(db: AsyncConnection, tenant_id: str, now: datetime, *, most: int, most_everywhere: int) -> Wave:
    """The organisation's wave as far as it matters: no count goes far beyond its limit, so that it costs little."""
    values = {"tenant": tenant_id, "now": now, "since": now - HOUR, "most": max(most, most_everywhere) + 1}
    row = (await db.execute(_wave(), values)).one()
    sent_everywhere = row.everywhere
    if row.waiting + sent_everywhere > most_everywhere:
        # Only near the limit it matters which of them really left.
        counted = sa.select(sa.func.count()).select_from(attempts).where(_left(now - HOUR))
        sent_everywhere = int(await db.scalar(counted) or 0)
    held_lately = row.braked_at is not None and row.braked_at > now - HOUR
    return Wave(row.waiting, row.here, sent_everywhere, held_lately)


@cache
def _wave() -> sa.Select[Any]:
    tenant = parameter("tenant")
    waits = (
        intents.c.tenant_id == tenant,
        intents.c.state == MessageState.PLANNED.value,
        intents.c.released_at.is_(None),
        intents.c.due_at <= parameter("now"),
    )
    alone = sa.select(intents.c.intent_id).where(*waits, sa.not_(intents.c.gathers)).limit(parameter("most"))
    # What gathers leaves as one message for each contact and number.
    together = sa.select(intents.c.contact_id, intents.c.phone).where(*waits, intents.c.gathers).distinct()
    waiting = [
        sa.select(sa.func.count()).select_from(part.subquery()).scalar_subquery()
        for part in (alone, together.limit(parameter("most")))
    ]
    began = attempts.c.started_at > parameter("since")
    here = (
        sa.select(sa.func.count())
        .select_from(attempts)
        .where(_left(parameter("since")), attempts.c.tenant_id == tenant)
    )
    everywhere = sa.select(sa.func.count()).select_from(attempts).where(began)
    return sa.select(
        (waiting[0] + waiting[1]).label("waiting"),
        here.scalar_subquery().label("here"),
        everywhere.scalar_subquery().label("everywhere"),
        tenants.c.braked_at,
    ).where(tenants.c.tenant_id == tenant)


async def sent_since(db: AsyncConnection, tenant_id: str, since: datetime) -> tuple[int, int]:
    """Messages of the organisation and of the installation that left, or may have, after ``since``."""
    rows = sa.select(sa.func.count()).select_from(attempts).where(_left(since))
    return int(await db.scalar(rows.where(attempts.c.tenant_id == tenant_id)) or 0), int(await db.scalar(rows) or 0)


def _left(since: datetime | sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    """What a person released is not counted."""
    return sa.and_(
        attempts.c.started_at > since,
        attempts.c.released.is_(False),
        sa.func.coalesce(attempts.c.outcome, "") != "rejected",
        sa.func.coalesce(attempts.c.error_class, "").not_in(_HELD_BACK),
    )


async def busiest_hour(db: AsyncConnection, tenant_id: str, now: datetime) -> int:
    """The most that left in one hour of the last weeks; the last day is left out, or a wave would make itself usual."""
    most = await db.scalar(
        sa.select(sa.func.max(sent_hours.c.messages)).where(
            sent_hours.c.tenant_id == tenant_id,
            sent_hours.c.hour > now - timedelta(days=USUAL_DAYS),
            sent_hours.c.hour <= now - DAY,
        )
    )
    return int(most or 0)


async def count_in_hour(db: AsyncConnection, tenant_id: str, now: datetime) -> None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    counted = {"tenant_id": tenant_id, "hour": hour, "messages": 1}
    await db.execute(prepared.count_in_hour(db.dialect.name), counted)


async def pull_brake(db: AsyncConnection, tenant_id: str, now: datetime) -> tuple[Sequence[Intent], bool]:
    """The intents that are held now, and whether it is the first time within the hour."""
    held = await db.execute(
        sa.update(intents)
        .where(
            intents.c.tenant_id == tenant_id,
            intents.c.state == MessageState.PLANNED.value,
            intents.c.released_at.is_(None),
        )
        .values(state=MessageState.HELD.value, reason="brake", changed_at=now)
        .returning(intents)
    )
    stopped = [to_intent(row) for row in held]
    first = await db.execute(
        sa.update(tenants)
        .where(
            tenants.c.tenant_id == tenant_id, sa.or_(tenants.c.braked_at.is_(None), tenants.c.braked_at <= now - HOUR)
        )
        .values(braked_at=now)
    )
    return stopped, first.rowcount == 1
