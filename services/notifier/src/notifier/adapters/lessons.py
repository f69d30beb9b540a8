"""What statuses and replies change in the ledger."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters.breakers import close_by_status, trip
from notifier.adapters.opt_outs import OPTED_OUT, inherit_wish, record_wish, user
from notifier.adapters.sql import find_intents, intents_of, upsert
from notifier.lesson_ports import StatusNews, Wish
from notifier.model import Intent
from notifier.provider_errors import handling, is_held
from notifier.statuses import merged
from notifier.tables import attempts, early_statuses, intents
from notifier.whatsapp_errors import ACCOUNT_PAUSE, RECATEGORISED, RECATEGORISED_REASON
from shared.contracts.messages import MessageChangedV1, MessageState
from shared.runtime.database import for_reading

_KEEP_EARLY = timedelta(days=2)
_NOT_YET_THERE = frozenset({MessageState.ACCEPTED, MessageState.SENT})


def _pause(news: StatusNews) -> timedelta:
    breaker = handling(news.error_code, news.provider).breaker if news.error_code is not None else None
    return breaker.probe_after if breaker else ACCOUNT_PAUSE


@dataclass(frozen=True, slots=True)
class EarlyStatus:
    state: MessageState
    error_code: int | None


class SqlLessons:
    """See :class:`notifier.ports.Lessons`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = for_reading(engine)

    async def status(self, news: StatusNews, now: datetime) -> Sequence[MessageChangedV1]:
        async with self._engine.begin() as db:
            attempt = await self._attempt(db, news)
            if attempt is None:
                await self._keep_early(db, news, now)
        if attempt is None:
            # Our own answer may have been recorded between the two looks.
            async with self._engine.begin() as db:
                attempt = await self._attempt(db, news)
        return [] if attempt is None else await self._apply(attempt, news, now)

    async def _attempt(self, db: AsyncConnection, news: StatusNews) -> sa.Row[Any] | None:
        for column, value in (
            (attempts.c.reference, news.reference),
            (attempts.c.provider_message_id, news.provider_message_id),
        ):
            if value:
                theirs = attempts.c.provider == news.provider
                row = (await db.execute(sa.select(attempts).where(column == value, theirs).limit(1))).one_or_none()
                if row is not None:
                    return row
        return None

    async def _keep_early(self, db: AsyncConnection, news: StatusNews, now: datetime) -> None:
        await db.execute(sa.delete(early_statuses).where(early_statuses.c.received_at < now - _KEEP_EARLY))
        insert = upsert(db, early_statuses).values(
            provider_message_id=news.provider_message_id,
            state=news.state.value,
            error_code=news.error_code,
            received_at=now,
        )
        await db.execute(insert.on_conflict_do_nothing(index_elements=["provider_message_id", "state"]))

    async def with_early(self, provider_message_ids: Collection[str]) -> Collection[str]:
        """Those of which statuses came before they were known."""
        ids = early_statuses.c.provider_message_id
        async with self._reading.connect() as db:
            return set(await db.scalars(sa.select(ids).where(ids.in_(provider_message_ids))))

    async def early(self, provider_message_id: str) -> Sequence[EarlyStatus]:
        """The statuses that came for this message before it was known, oldest first; they are forgotten then."""
        async with self._engine.begin() as db:
            rows = await db.execute(
                sa.delete(early_statuses)
                .where(early_statuses.c.provider_message_id == provider_message_id)
                .returning(early_statuses.c.state, early_statuses.c.error_code)
            )
            return [EarlyStatus(MessageState(row.state), row.error_code) for row in rows]

    async def _apply(self, attempt: sa.Row[Any], news: StatusNews, now: datetime) -> Sequence[MessageChangedV1]:
        async with self._engine.begin() as db:
            await self._note_person(db, attempt, news)
            await self._note_breakers(db, attempt, news, now)
            if news.state is MessageState.FAILED:
                await self._note_failure(db, attempt, news, now)
            elif news.state in _NOT_YET_THERE and await self._has_failed(db, attempt):
                return []
            moved = [await self._move(db, attempt, intent, news, now) for intent in await intents_of(db, attempt)]
            return [change for change in moved if change is not None]

    async def _move(
        self, db: AsyncConnection, attempt: sa.Row[Any], intent: Intent, news: StatusNews, now: datetime
    ) -> MessageChangedV1 | None:
        # A failure of an earlier attempt says nothing of the one that it is in now.
        if news.state is MessageState.FAILED and not await self._is_latest(db, attempt, intent):
            return None
        while True:
            state = merged(intent.state, news.state)
            if state is intent.state:
                return None
            reason, values = None, {}
            if state is MessageState.FAILED:
                reason = news.reason
                if is_held(news.error_code, news.provider):
                    state = MessageState.PLANNED
                    values = {"due_at": now + _pause(news), "tries": max(intent.tries - 1, 0)}
            moved = await db.execute(
                sa.update(intents)
                .where(intents.c.intent_id == intent.intent_id, intents.c.state == intent.state.value)
                .values(state=state.value, reason=reason, changed_at=now, **values)
            )
            if moved.rowcount == 1:
                return intent.changed(state, reason, now)
            intent = (await find_intents(db, intents.c.intent_id == intent.intent_id))[0]

    async def _note_breakers(self, db: AsyncConnection, attempt: sa.Row[Any], news: StatusNews, now: datetime) -> None:
        """A status opens the breaker of its error, or closes the one that the attempt was to try."""
        if attempt.heard_at is None:
            ours = sa.update(attempts).where(attempts.c.reference == attempt.reference)
            await db.execute(ours.values(heard_at=now))
        breaker = handling(news.error_code, news.provider).breaker if news.error_code is not None else None
        if news.as_marketing:
            await trip(db, attempt, RECATEGORISED, RECATEGORISED_REASON, now, by_status=True)
        elif breaker is not None and attempt.failed_at is None:
            await trip(db, attempt, breaker, news.reason or "", now, by_status=True)
        elif news.state not in {MessageState.FAILED, MessageState.ACCEPTED}:
            await close_by_status(db, attempt.reference)

    async def _note_failure(self, db: AsyncConnection, attempt: sa.Row[Any], news: StatusNews, now: datetime) -> None:
        ours = sa.update(attempts).where(attempts.c.reference == attempt.reference)
        error_class = None if news.error_code is None else handling(news.error_code, news.provider).error_class.value
        await db.execute(ours.values(failed_at=now, error_code=news.error_code, error_class=error_class))

    async def _has_failed(self, db: AsyncConnection, attempt: sa.Row[Any]) -> bool:
        """Locks the attempt: who says that it was sent and who says that it failed must not pass each other."""
        ours = sa.select(attempts.c.failed_at).where(attempts.c.reference == attempt.reference)
        return await db.scalar(ours.with_for_update()) is not None

    async def _is_latest(self, db: AsyncConnection, attempt: sa.Row[Any], intent: Intent) -> bool:
        claimed_at = await db.scalar(sa.select(intents.c.claimed_at).where(intents.c.intent_id == intent.intent_id))
        return bool(claimed_at == attempt.started_at)

    async def _note_person(self, db: AsyncConnection, attempt: sa.Row[Any], news: StatusNews) -> None:
        values: dict[str, str] = {}
        if attempt.provider_message_id is None:
            values["provider_message_id"] = news.provider_message_id
        names = []
        if news.person_user_id and attempt.person_user_id != news.person_user_id:
            values["person_user_id"] = news.person_user_id
            names.append(user(news.person_user_id))
        if news.whatsapp_phone and attempt.whatsapp_phone != news.whatsapp_phone:
            values["whatsapp_phone"] = news.whatsapp_phone
            names.append(news.whatsapp_phone)
        if values:
            await db.execute(sa.update(attempts).where(attempts.c.reference == attempt.reference).values(values))
        if names:
            await inherit_wish(db, attempt.phone, names)

    async def wish(self, wish: Wish, now: datetime) -> Sequence[MessageChangedV1]:
        async with self._engine.begin() as db:
            cancelled = await record_wish(db, wish, now)
        return [intent.changed(MessageState.CANCELLED, OPTED_OUT, now) for intent in cancelled]
