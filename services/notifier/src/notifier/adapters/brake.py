"""How much has left within the hour, and holding the rest of a wave."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.sql import to_intent
from notifier.model import Intent
from notifier.tables import attempts, intents, tenants
from notifier.whatsapp_errors import ErrorClass
from shared.contracts.messages import MessageState

HOUR = timedelta(hours=1)


async def sent_since(db: AsyncConnection, tenant_id: str, since: datetime) -> tuple[int, int]:
    """Messages of the organisation and of the installation that left, or may have, after ``since``."""
    left = sa.and_(
        attempts.c.started_at > since,
        sa.func.coalesce(attempts.c.outcome, "") != "rejected",
        sa.func.coalesce(attempts.c.error_class, "") != ErrorClass.ACCOUNT.value,
    )
    everywhere = sa.select(sa.func.count()).select_from(attempts).where(left)
    here = everywhere.where(attempts.c.tenant_id == tenant_id)
    return int(await db.scalar(here) or 0), int(await db.scalar(everywhere) or 0)


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
