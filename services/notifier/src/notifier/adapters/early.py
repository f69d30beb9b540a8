"""Statuses that came before the answer which tells of which message they are: kept, found again, taken once."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.sql import upsert
from notifier.lesson_ports import StatusNews
from notifier.rates import Pricing
from notifier.tables import attempts, early_statuses
from shared.contracts.messages import MessageState

_KEPT = timedelta(days=2)
_AT_ONCE = 50


async def keep_early(db: AsyncConnection, news: StatusNews, now: datetime) -> None:
    await db.execute(sa.delete(early_statuses).where(early_statuses.c.received_at < now - _KEPT))
    insert = upsert(db, early_statuses).values(
        provider_message_id=news.provider_message_id,
        state=news.state.value,
        error_code=news.error_code,
        details=news.details,
        pricing=asdict(news.pricing) if news.pricing else None,
        received_at=now,
    )
    await db.execute(insert.on_conflict_do_nothing(index_elements=["provider_message_id", "state"]))


async def forget_early(db: AsyncConnection, news: StatusNews) -> bool:
    """It found its message after all; nobody is to apply it once more. False when somebody has taken it."""
    ours = sa.and_(
        early_statuses.c.provider_message_id == news.provider_message_id, early_statuses.c.state == news.state.value
    )
    return bool((await db.execute(sa.delete(early_statuses).where(ours))).rowcount)


async def with_early(db: AsyncConnection, provider_message_ids: Collection[str]) -> Collection[str]:
    """Those of which statuses came before they were known."""
    ids = early_statuses.c.provider_message_id
    return set(await db.scalars(sa.select(ids).where(ids.in_(provider_message_ids))))


async def known_by_now(db: AsyncConnection, since: datetime | None) -> Sequence[sa.Row[Any]]:
    """The attempts, each once, whose early statuses are still kept: ``reference``, its id and its provider.

    All of them, or a few of those that came after ``since``: another application's statuses stay for days, and to look
    at each again and again would be dear.
    """
    theirs = attempts.c.provider_message_id == early_statuses.c.provider_message_id
    columns = attempts.c.reference, attempts.c.provider_message_id, attempts.c.provider
    known = sa.select(*columns).distinct().join_from(early_statuses, attempts, theirs)
    if since is not None:
        known = known.where(early_statuses.c.received_at > since).limit(_AT_ONCE)
    return list(await db.execute(known))


async def take_early(
    db: AsyncConnection, reference: str, provider_message_id: str, provider: str
) -> Sequence[StatusNews]:
    """The statuses that came for this message before it was known, as they came; they are no longer kept then."""
    rows = await db.execute(
        sa.delete(early_statuses)
        .where(early_statuses.c.provider_message_id == provider_message_id)
        .returning(early_statuses)
    )
    return [
        StatusNews(
            reference,
            provider_message_id,
            MessageState(row.state),
            row.error_code,
            details=row.details,
            pricing=Pricing(**row.pricing) if row.pricing else None,
            provider=provider,
        )
        for row in sorted(rows, key=lambda row: row.received_at)
    ]
