"""The ledger in SQL: transactions per organisation, the queue of what is due, and what became of attempts."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters import prepared
from notifier.adapters.brake import count_in_hours
from notifier.adapters.breakers import end_probe, open_breakers, trip
from notifier.adapters.lessons import SqlLessons
from notifier.adapters.opt_outs import OPTED_OUT, inherit_wish, names_of, record_wish
from notifier.adapters.outbox import Telling, record_changes
from notifier.adapters.pacing import reached
from notifier.adapters.queue import due
from notifier.adapters.sql import in_order, intents_of, to_intent, upsert
from notifier.adapters.switches import HaltsInside, halts
from notifier.adapters.tenant_book import SqlTenantBook
from notifier.adapters.tier import note_tier
from notifier.adapters.turned_back import believe_nothing_ahead
from notifier.halts import Halts, is_linked, template_of
from notifier.lesson_ports import Wish
from notifier.model import Intent
from notifier.persons import Persons
from notifier.ports import Accepted, Attempt, Due, Outcome, Pace, Rejected, TenantBook
from notifier.rates import Rates
from notifier.senders import EVERYTHING_DUE, Share
from notifier.statuses import merged
from notifier.tables import intents, tenants
from notifier.whatsapp_errors import Scope
from shared.contracts.messages import MessageChangedV1, MessageState
from shared.runtime.database import for_reading
from shared.runtime.group_commit import GroupCommit
from shared.telemetry.correlation import correlation_id

AT_ONCE = 50
"""How many answers are recorded by one transaction at most."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of an attempt, as :meth:`SqlLedger.settle` is told."""

    attempt: Attempt
    outcome: Outcome
    now: datetime
    retry_at: datetime | None
    burns: bool
    correlation_id: str | None


class SqlLedger:
    """See :class:`notifier.ports.Ledger`."""

    def __init__(
        self,
        engine: AsyncEngine,
        pace: Pace | None = None,
        share: Share = EVERYTHING_DUE,
        *,
        rates: Rates | None = None,
        persons: Persons | None = None,
    ) -> None:
        """As the sender of ``pace`` sees it: only its ``share`` of what is due is given to it.

        ``persons`` knows the erased again; without it there can be none.
        """
        self._engine = engine
        self._share = share
        self._reading = for_reading(engine)
        self._pace = pace or Pace()
        self._persons = persons
        # SQLite has one writer: who waits for it here waits for its end, who waits inside it sleeps and looks again.
        self._writer: AbstractAsyncContextManager[None] = (
            asyncio.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )
        self._lessons = SqlLessons(engine, rates, persons)
        self._settle = GroupCommit(self._settle_all, most=AT_ONCE)

    @asynccontextmanager
    async def open(self, tenant_id: str, now: datetime) -> AsyncIterator[TenantBook]:
        async with self.open_all([tenant_id], now) as books:
            yield books[tenant_id]

    @asynccontextmanager
    async def open_all(self, tenant_ids: Collection[str], now: datetime) -> AsyncIterator[Mapping[str, TenantBook]]:
        async with self._writer, self._engine.begin() as db:
            rows = await _locked(db, tenant_ids)
            # Those seen for the first time come after all others, and in order too: nobody waits in a circle.
            for tenant_id in sorted(set(tenant_ids) - rows.keys()):
                seen = upsert(db, tenants).values(tenant_id=tenant_id, connected_at=now, announced=False)
                await db.execute(seen.on_conflict_do_nothing(index_elements=["tenant_id"]))
                rows |= await _locked(db, [tenant_id])
            standing, telling = HaltsInside(db), Telling()
            yield {
                tenant_id: SqlTenantBook(db, row, self._pace, standing, telling, self._persons)
                for tenant_id, row in rows.items()
            }
            await telling.record(db)

    async def due(self, now: datetime, limit: int) -> Sequence[Due]:
        async with self._reading.connect() as db:
            return await due(db, self._pace, now, limit, self._share)

    async def note_tier(self, now: datetime) -> int:
        if self._pace.daily_recipients is None:
            return 0
        async with self._reading.connect() as db:
            if await reached(db, self._pace, now) < self._pace.daily_recipients:
                return 0
        async with self._writer, self._engine.begin() as db:
            return await note_tier(db, self._pace, now, self._share)

    async def turned_back(self, now: datetime) -> None:
        async with self._writer, self._engine.begin() as db:
            await believe_nothing_ahead(db, now)

    async def halts(self) -> Halts:
        async with self._reading.connect() as db:
            return await halts(db)

    async def settle(
        self, attempt: Attempt, outcome: Outcome, now: datetime, *, retry_at: datetime | None = None, burns: bool = True
    ) -> Sequence[MessageChangedV1]:
        changes, overtaken = await self._settle(_Answer(attempt, outcome, now, retry_at, burns, correlation_id()))
        if overtaken and isinstance(outcome, Accepted):
            of_ours = attempt.reference, outcome.provider_message_id, self._pace.provider
            changes = [*changes, *await self._lessons.early(*of_ours, now)]
        return changes

    async def catch_up(self, now: datetime, since: datetime | None) -> Sequence[MessageChangedV1]:
        return await self._lessons.all_early(now, since)

    async def _settle_all(self, answers: Sequence[_Answer]) -> Sequence[tuple[Sequence[MessageChangedV1], bool]]:
        """The changes of each, and whether statuses of it came earlier than the answer."""
        async with self._writer, self._engine.begin() as db:
            probes = {item.probe for item in await open_breakers(db)}
            settled, telling = [await self._settle_one(db, answer, probes) for answer in answers], Telling()
            for answer, changes in zip(answers, settled, strict=True):
                telling.add(changes, answer.correlation_id)
            await telling.record(db)
            left = [answer for answer in answers if not isinstance(answer.outcome, Rejected)]
            await count_in_hours(db, [(answer.attempt.tenant_id, answer.now) for answer in left])
        # Only after the commit: a status that comes now finds the message, an earlier one is found here. Should this
        # process not live to apply it, any sender does when it catches up.
        accepted = [answer.outcome.provider_message_id for answer in answers if isinstance(answer.outcome, Accepted)]
        early = await self._lessons.with_early(accepted) if accepted else frozenset()
        return [
            (changes, isinstance(answer.outcome, Accepted) and answer.outcome.provider_message_id in early)
            for changes, answer in zip(settled, answers, strict=True)
        ]

    async def _settle_one(
        self, db: AsyncConnection, answer: _Answer, probes: Collection[str | None]
    ) -> Sequence[MessageChangedV1]:
        ended = await self._record_outcome(db, answer.attempt, answer.outcome, answer.now)
        if answer.attempt.reference in probes:
            await end_probe(db, answer.attempt.reference, answer.outcome, answer.now)
        changes: list[MessageChangedV1] = []
        if isinstance(answer.outcome, Rejected) and answer.outcome.handling.opted_out:
            said = Wish(answer.attempt.phone, None, None, opted_out=True, said_at=answer.now)
            _, stopped = await record_wish(db, said, await names_of(db, said), answer.now)
            changes = [intent.changed(MessageState.CANCELLED, OPTED_OUT, answer.now) for intent in stopped]
        if ended.failed_at is not None and isinstance(answer.outcome, Accepted):
            # A status has said already that it failed: then being accepted is old news.
            return changes
        found = [
            await self._conclude(db, answer, intent, ended.started_at)
            for intent in await intents_of(db, answer.attempt)
        ]
        return [*(change for change in found if change is not None), *changes]

    async def _record_outcome(
        self, db: AsyncConnection, attempt: Attempt, outcome: Outcome, now: datetime
    ) -> sa.Row[Any]:
        """The attempt's row, ended."""
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
        ended = prepared.end_attempt(tuple(values))
        row: sa.Row[Any] = (await db.execute(ended, prepared.to_end(attempt.reference, values))).one()
        if isinstance(outcome, Rejected) and outcome.handling.breaker is not None:
            await trip(db, row, outcome.handling.breaker, outcome.reason, now)
        if row.whatsapp_phone is not None and isinstance(outcome, Accepted) and outcome.whatsapp_phone:
            await inherit_wish(db, attempt.phone, [row.whatsapp_phone])
        return row

    async def _conclude(
        self, db: AsyncConnection, answer: _Answer, intent: Intent, began_at: datetime
    ) -> MessageChangedV1 | None:
        attempt, outcome, now = answer.attempt, answer.outcome, answer.now
        reason = None if isinstance(outcome, Accepted) else outcome.reason
        values: dict[str, Any] = {}
        if not isinstance(outcome, Accepted) and intent.claimed_at != began_at:
            # Its sender was away so long that it was sent again: what became of the later attempt counts.
            return None
        if isinstance(outcome, Rejected):
            if intent.state not in {MessageState.SENDING, MessageState.UNKNOWN}:
                return None
            state = MessageState.FAILED if answer.retry_at is None else MessageState.PLANNED
            tries = intent.tries if answer.burns else intent.tries - 1
            values = {"due_at": answer.retry_at or intent.due_at, "tries": tries}
            breaker = outcome.handling.breaker
            # Nobody waits for a form with a link: the message has another to leave in.
            if breaker and breaker.scope is Scope.TEMPLATE and not is_linked(attempt.template):
                values["waits_for"] = f"{breaker.scope.value}:{template_of(attempt.template, self._pace.sender)}"
        else:
            told = MessageState.ACCEPTED if isinstance(outcome, Accepted) else MessageState.UNKNOWN
            state = merged(intent.state, told)
        if state is intent.state:
            return None
        as_known = {"the_intent": intent.intent_id, "still": intent.state.value}
        news = {"state": state.value, "reason": reason, "changed_at": now, **values}
        moved = await db.execute(prepared.change(), {**as_known, **news})
        if moved.rowcount == 0:  # a status overtook the answer between the reading and the writing
            found = (await db.execute(prepared.intent_of(), {"the_intent": intent.intent_id})).one()
            return await self._conclude(db, answer, to_intent(found), began_at)
        return None if state is MessageState.PLANNED else intent.changed(state, reason, now)

    async def abandon(self, claimed_before: datetime, now: datetime) -> Sequence[MessageChangedV1]:
        reason = "sender_gone"
        async with self._writer, self._engine.begin() as db:
            rows = await db.execute(
                sa.update(intents)
                .where(in_order(intents.c.state == MessageState.SENDING.value, intents.c.claimed_at < claimed_before))
                .values(state=MessageState.UNKNOWN.value, reason=reason, changed_at=now)
                .returning(intents)
            )
            changes = [to_intent(row).changed(MessageState.UNKNOWN, reason, now) for row in rows]
            await record_changes(db, changes)
        return changes


async def _locked(db: AsyncConnection, tenant_ids: Collection[str]) -> dict[str, sa.Row[Any]]:
    """The rows, locked in order. On SQLite the transaction holds the only write lock, and FOR UPDATE is left out."""
    ours = sa.select(tenants).where(tenants.c.tenant_id.in_(tenant_ids)).order_by(tenants.c.tenant_id)
    return {row.tenant_id: row for row in await db.execute(ours.with_for_update())}
