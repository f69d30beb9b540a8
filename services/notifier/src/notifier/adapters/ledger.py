"""The ledger in SQL: transactions per organisation, the queue of what is due, and what became of attempts."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters.lessons import SqlLessons
from notifier.adapters.opt_outs import inherit_wish
from notifier.adapters.sql import find_intents, to_intent, upsert
from notifier.adapters.tenant_book import SqlTenantBook
from notifier.model import Intent
from notifier.ports import Accepted, Attempt, Due, Outcome, Rejected, StatusNews, TenantBook
from notifier.statuses import merged
from notifier.still_wanted import FRESH_FOR
from notifier.tables import attempts, intents, pauses, snapshots, tenants
from shared.contracts.messages import MessageChangedV1, MessageState

_SENDER = "whatsapp"


class SqlLedger:
    """See :class:`notifier.ports.Ledger`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._lessons = SqlLessons(engine)

    @asynccontextmanager
    async def open(self, tenant_id: str, now: datetime) -> AsyncIterator[TenantBook]:
        async with self._engine.begin() as db:
            seen = upsert(db, tenants).values(tenant_id=tenant_id, connected_at=now, announced=False)
            await db.execute(seen.on_conflict_do_nothing(index_elements=["tenant_id"]))
            # On SQLite the transaction holds the only write lock already; FOR UPDATE is left out there.
            await db.execute(sa.select(tenants.c.tenant_id).where(tenants.c.tenant_id == tenant_id).with_for_update())
            yield SqlTenantBook(db, tenant_id)

    async def due(self, now: datetime, limit: int) -> Sequence[Due]:
        fresh = snapshots.c.read_at >= now - FRESH_FOR
        link_known = sa.or_(
            *(snapshots.c.body["invoice"][name].as_string().is_not(None) for name in ("online_url", "no_link_reason"))
        )
        link_settled = sa.or_(link_known, intents.c.link_until.is_(None), intents.c.link_until <= now)
        may_ask = sa.or_(intents.c.look_after.is_(None), intents.c.look_after <= now)
        turn = sa.func.row_number().over(partition_by=intents.c.tenant_id, order_by=intents.c.due_at)
        waiting = (
            sa.select(
                intents.c.intent_id,
                intents.c.tenant_id,
                intents.c.invoice_id,
                intents.c.correlation_id,
                fresh.label("fresh"),
            )
            .join(tenants, tenants.c.tenant_id == intents.c.tenant_id)
            .join(
                snapshots,
                sa.and_(snapshots.c.tenant_id == intents.c.tenant_id, snapshots.c.invoice_id == intents.c.invoice_id),
            )
            .where(
                intents.c.state == MessageState.PLANNED.value,
                intents.c.due_at <= now,
                tenants.c.lost_at.is_(None),
                sa.or_(sa.and_(fresh, link_settled), sa.and_(sa.not_(fresh), may_ask)),
            )
            .order_by(turn, intents.c.due_at)
            .limit(limit)
        )
        async with self._engine.connect() as db:
            rows = await db.execute(waiting)
        return [
            Due(row.intent_id, row.tenant_id, row.invoice_id, row.correlation_id, stale=not row.fresh) for row in rows
        ]

    async def settle(
        self, attempt: Attempt, outcome: Outcome, now: datetime, *, retry_at: datetime | None = None, burns: bool = True
    ) -> Sequence[MessageChangedV1]:
        async with self._engine.begin() as db:
            failed = await self._record_outcome(db, attempt, outcome, now)
            changes: Sequence[MessageChangedV1] = []
            if not (failed and isinstance(outcome, Accepted)):
                changes = await self._conclude(db, attempt, outcome, now, retry_at=retry_at, burns=burns)
        if isinstance(outcome, Accepted):
            # Only after the commit: a status that comes now finds the message, an earlier one is found here.
            for early in await self._lessons.early(outcome.provider_message_id):
                news = StatusNews(attempt.reference, outcome.provider_message_id, early.state, early.error_code)
                changes = [*changes, *await self._lessons.status(news, now)]
        return changes

    async def _record_outcome(self, db: AsyncConnection, attempt: Attempt, outcome: Outcome, now: datetime) -> bool:
        """Whether a status has said already that it failed: then being accepted is old news."""
        values: dict[str, Any] = {"ended_at": now, "outcome": type(outcome).__name__.lower()}
        if isinstance(outcome, Accepted):
            values["provider_message_id"] = outcome.provider_message_id
            if outcome.whatsapp_phone:
                values["whatsapp_phone"] = outcome.whatsapp_phone
        elif isinstance(outcome, Rejected):
            values |= {
                "error_code": outcome.code,
                "error_class": outcome.handling.error_class.value,
                "details": outcome.details,
            }
        ours = sa.update(attempts).where(attempts.c.reference == attempt.reference)
        failed_at = await db.scalar(ours.values(values).returning(attempts.c.failed_at))
        if "whatsapp_phone" in values:
            await inherit_wish(db, attempt.phone, [values["whatsapp_phone"]])
        return failed_at is not None

    async def _conclude(
        self,
        db: AsyncConnection,
        attempt: Attempt,
        outcome: Outcome,
        now: datetime,
        *,
        retry_at: datetime | None,
        burns: bool,
    ) -> Sequence[MessageChangedV1]:
        intent = (await find_intents(db, intents.c.intent_id == attempt.intent_id))[0]
        reason = None if isinstance(outcome, Accepted) else outcome.reason
        values: dict[str, Any] = {}
        if isinstance(outcome, Rejected):
            if intent.state not in {MessageState.SENDING, MessageState.UNKNOWN}:
                return []
            state = MessageState.FAILED if retry_at is None else MessageState.PLANNED
            values = {"due_at": retry_at or intent.due_at, "tries": intent.tries if burns else intent.tries - 1}
        else:
            news = MessageState.ACCEPTED if isinstance(outcome, Accepted) else MessageState.UNKNOWN
            state = merged(intent.state, news)
        if state is intent.state:
            return []
        moved = await db.execute(
            sa.update(intents)
            .where(intents.c.intent_id == intent.intent_id, intents.c.state == intent.state.value)
            .values(state=state.value, reason=reason, changed_at=now, **values)
        )
        if moved.rowcount == 0:  # a status overtook the answer between the reading and the writing
            return await self._conclude(db, attempt, outcome, now, retry_at=retry_at, burns=burns)
        return [] if state is MessageState.PLANNED else [intent.changed(state, reason, now)]

    async def abandon(self, claimed_before: datetime, now: datetime) -> Sequence[MessageChangedV1]:
        reason = "sender_gone"
        async with self._engine.begin() as db:
            rows = await db.execute(
                sa.update(intents)
                .where(intents.c.state == MessageState.SENDING.value, intents.c.claimed_at < claimed_before)
                .values(state=MessageState.UNKNOWN.value, reason=reason, changed_at=now)
                .returning(intents)
            )
            gone: list[Intent] = [to_intent(row) for row in rows]
        return [intent.changed(MessageState.UNKNOWN, reason, now) for intent in gone]

    async def paused_until(self, now: datetime) -> datetime | None:
        async with self._engine.connect() as db:
            until: datetime | None = await db.scalar(sa.select(pauses.c.until).where(pauses.c.scope == _SENDER))
        return until if until is not None and until > now else None

    async def pause(self, until: datetime, reason: str, now: datetime) -> bool:
        running = await self.paused_until(now) is None
        async with self._engine.begin() as db:
            insert = upsert(db, pauses).values(scope=_SENDER, until=until, reason=reason)
            await db.execute(
                insert.on_conflict_do_update(
                    index_elements=["scope"],
                    set_={"until": until, "reason": reason},
                    where=pauses.c.until < insert.excluded.until,
                )
            )
        return running
