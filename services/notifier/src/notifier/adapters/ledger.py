"""The ledger in SQL: transactions per organisation, the queue of what is due, and what became of attempts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters.breakers import end_probe, trip
from notifier.adapters.lessons import SqlLessons
from notifier.adapters.opt_outs import inherit_wish
from notifier.adapters.outbox import record_changes
from notifier.adapters.queue import due
from notifier.adapters.sql import find_intents, to_intent, upsert
from notifier.adapters.switches import halts
from notifier.adapters.tenant_book import SqlTenantBook
from notifier.halts import Halts
from notifier.ports import Accepted, Attempt, Due, Outcome, Pace, Rejected, TenantBook
from notifier.rates import Rates
from notifier.statuses import merged
from notifier.tables import attempts, intents, tenants
from notifier.whatsapp_errors import Scope
from shared.contracts.messages import MessageChangedV1, MessageState
from shared.runtime.database import for_reading


class SqlLedger:
    """See :class:`notifier.ports.Ledger`."""

    def __init__(self, engine: AsyncEngine, pace: Pace | None = None, rates: Rates | None = None) -> None:
        self._engine = engine
        self._reading = for_reading(engine)
        self._pace = pace or Pace()
        # SQLite has one writer: who waits for it here waits for its end, who waits inside it sleeps and looks again.
        self._writer: AbstractAsyncContextManager[None] = (
            asyncio.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )
        self._lessons = SqlLessons(engine, rates)

    @asynccontextmanager
    async def open(self, tenant_id: str, now: datetime) -> AsyncIterator[TenantBook]:
        async with self._writer, self._engine.begin() as db:
            # On SQLite the transaction holds the only write lock already; FOR UPDATE is left out there.
            locked = sa.select(tenants.c.tenant_id).where(tenants.c.tenant_id == tenant_id).with_for_update()
            if await db.scalar(locked) is None:
                seen = upsert(db, tenants).values(tenant_id=tenant_id, connected_at=now, announced=False)
                await db.execute(seen.on_conflict_do_nothing(index_elements=["tenant_id"]))
                await db.execute(locked)
            yield SqlTenantBook(db, tenant_id, self._pace)

    async def due(self, now: datetime, limit: int) -> Sequence[Due]:
        async with self._reading.connect() as db:
            return await due(db, self._pace, now, limit)

    async def halts(self) -> Halts:
        async with self._reading.connect() as db:
            return await halts(db)

    async def settle(
        self, attempt: Attempt, outcome: Outcome, now: datetime, *, retry_at: datetime | None = None, burns: bool = True
    ) -> Sequence[MessageChangedV1]:
        async with self._writer, self._engine.begin() as db:
            failed = await self._record_outcome(db, attempt, outcome, now)
            changes: Sequence[MessageChangedV1] = []
            if not (failed and isinstance(outcome, Accepted)):
                changes = await self._conclude(db, attempt, outcome, now, retry_at=retry_at, burns=burns)
            await record_changes(db, changes)
        if isinstance(outcome, Accepted):
            # Only after the commit: a status that comes now finds the message, an earlier one is found here.
            for news in await self._lessons.early(attempt.reference, outcome.provider_message_id):
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
        row = (await db.execute(ours.values(values).returning(attempts))).one()
        if isinstance(outcome, Rejected) and outcome.handling.breaker is not None:
            await trip(db, row, outcome.handling.breaker, outcome.reason, now)
        await end_probe(db, attempt.reference, outcome, now)
        if "whatsapp_phone" in values:
            await inherit_wish(db, attempt.phone, [values["whatsapp_phone"]])
        return row.failed_at is not None

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
            breaker = outcome.handling.breaker
            if breaker is not None and breaker.scope is Scope.TEMPLATE:
                values["waits_for"] = f"{breaker.scope.value}:{attempt.template}"
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
        async with self._writer, self._engine.begin() as db:
            rows = await db.execute(
                sa.update(intents)
                .where(intents.c.state == MessageState.SENDING.value, intents.c.claimed_at < claimed_before)
                .values(state=MessageState.UNKNOWN.value, reason=reason, changed_at=now)
                .returning(intents)
            )
            changes = [to_intent(row).changed(MessageState.UNKNOWN, reason, now) for row in rows]
            await record_changes(db, changes)
        return changes
