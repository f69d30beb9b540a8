"""What statuses and replies change in the ledger."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters.breakers import close_by_status, trip
from notifier.adapters.confirmations import note_confirmation, plan_confirmation
from notifier.adapters.early import forget_early, keep_early, known_by_now, take_early, with_early
from notifier.adapters.erased import is_to_be_kept_out
from notifier.adapters.opt_outs import OPTED_OUT, inherit_wish, is_opted_out, names_of, record_wish, user
from notifier.adapters.outbox import record_changes
from notifier.adapters.prices import price_news
from notifier.adapters.replies import record_reply
from notifier.adapters.sql import find_intents, intents_of
from notifier.halts import is_linked
from notifier.lesson_ports import Reply, StatusNews, Wish
from notifier.model import ERASED, Cost, Intent
from notifier.persons import EVERYWHERE, Persons
from notifier.provider_errors import handling, is_held
from notifier.rates import Rates
from notifier.statuses import merged
from notifier.tables import attempts, intents
from notifier.whatsapp_errors import ACCOUNT_PAUSE, RECATEGORISED, RECATEGORISED_REASON, ErrorClass
from shared.contracts.messages import MessageChangedV1, MessageState
from shared.runtime.database import for_reading

_NOT_YET_THERE = frozenset({MessageState.ACCEPTED, MessageState.SENT})


def _pause(news: StatusNews) -> timedelta:
    breaker = handling(news.error_code, news.provider).breaker if news.error_code is not None else None
    return breaker.probe_after if breaker else ACCOUNT_PAUSE


def _has_another_form(attempt: sa.Row[Any], news: StatusNews) -> bool:
    """Whether the message was refused for its form with a link alone, and may leave in the one without."""
    if news.error_code is None:
        return False
    of_template = handling(news.error_code, news.provider).error_class is ErrorClass.TEMPLATE
    return of_template and is_linked(attempt.template)


class SqlLessons:
    """See :class:`notifier.lesson_ports.Lessons`."""

    def __init__(self, engine: AsyncEngine, rates: Rates | None = None, persons: Persons | None = None) -> None:
        self._engine = engine
        self._persons = persons
        self._reading = for_reading(engine)
        self._rates = rates or Rates()

    async def status(self, news: StatusNews, now: datetime) -> Sequence[MessageChangedV1]:
        told_of = news.reference, news.provider_message_id, news.provider
        async with self._engine.begin() as db:
            attempt = await self._attempt(db, *told_of)
            if attempt is not None:
                return await self._apply(db, attempt, news, now)
            if await note_confirmation(db, news, self._rates, now):
                return []
            kept = await self._keep_early(db, news, now)
        # Our own answer may have been recorded between the two looks.
        async with self._engine.begin() as db:
            attempt = await self._attempt(db, *told_of)
            if attempt is None:
                return []
            if kept and not await forget_early(db, news):
                return []
            return await self._apply(db, attempt, news, now)

    async def _attempt(
        self, db: AsyncConnection, reference: str | None, provider_message_id: str, provider: str
    ) -> sa.Row[Any] | None:
        """Locked: two statuses of one message must not pass each other."""
        for column, value in (
            (attempts.c.reference, reference),
            (attempts.c.provider_message_id, provider_message_id),
        ):
            if value:
                theirs = attempts.c.provider == provider
                found = sa.select(attempts).where(column == value, theirs).limit(1).with_for_update()
                row = (await db.execute(found)).one_or_none()
                if row is not None:
                    return row
        return None

    async def _keep_early(self, db: AsyncConnection, news: StatusNews, now: datetime) -> bool:
        if await self._are_erased(db, news.whatsapp_phone, news.person_user_id):
            return False  # WhatsApp's id of a message tells the number
        await keep_early(db, news, now)
        return True

    async def with_early(self, provider_message_ids: Collection[str]) -> Collection[str]:
        """Those of which statuses came before they were known."""
        async with self._reading.connect() as db:
            return await with_early(db, provider_message_ids)

    async def early(
        self, reference: str, provider_message_id: str, provider: str, now: datetime
    ) -> Sequence[MessageChangedV1]:
        """Apply what came for this message before it was known; only what is applied is forgotten."""
        changes: list[MessageChangedV1] = []
        async with self._engine.begin() as db:
            # Locked first, as by everybody who writes to it and to what came early.
            if await self._attempt(db, reference, provider_message_id, provider) is None:
                return []
            for news in await take_early(db, reference, provider_message_id, provider):
                attempt = await self._attempt(db, reference, provider_message_id, provider)
                if attempt is not None:
                    changes += await self._apply(db, attempt, news, now)
        return changes

    async def all_early(self, now: datetime, since: datetime | None) -> Sequence[MessageChangedV1]:
        """The same for messages that are known by now: whoever recorded their answer may have died on it."""
        async with self._reading.connect() as db:
            known = await known_by_now(db, since)
        changes: list[MessageChangedV1] = []
        for row in known:
            changes += await self.early(row.reference, row.provider_message_id, row.provider, now)
        return changes

    async def _apply(
        self, db: AsyncConnection, before: sa.Row[Any], news: StatusNews, now: datetime
    ) -> Sequence[MessageChangedV1]:
        attempt, cost = await self._note_attempt(db, before, news, now)
        await self._note_breakers(db, before, attempt, news, now)
        changes = []
        for intent in await intents_of(db, attempt):
            # The costs of all changes add up to what was spent: of a statement's the lead's says it.
            said = cost if intent.intent_id == attempt.intent_id else None
            changed = await self._move(db, attempt, intent, news, now, said)
            if changed is None and said is not None:
                (now_is,) = await find_intents(db, intents.c.intent_id == intent.intent_id)
                changed = now_is.changed(now_is.state, now_is.reason, now, said)
            changes += [] if changed is None else [changed]
        await record_changes(db, changes)
        return changes

    async def _move(
        self,
        db: AsyncConnection,
        attempt: sa.Row[Any],
        intent: Intent,
        news: StatusNews,
        now: datetime,
        cost: Cost | None,
    ) -> MessageChangedV1 | None:
        # A failure of an earlier attempt says nothing of the one that it is in now.
        if news.state is MessageState.FAILED and not await self._is_latest(db, attempt, intent):
            return None
        if news.state in _NOT_YET_THERE and attempt.failed_at is not None:
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
                    waits = timedelta(0) if _has_another_form(attempt, news) else _pause(news)
                    values = {"due_at": now + waits, "tries": max(intent.tries - 1, 0)}
            moved = await db.execute(
                sa.update(intents)
                .where(intents.c.intent_id == intent.intent_id, intents.c.state == intent.state.value)
                .values(state=state.value, reason=reason, changed_at=now, **values)
            )
            if moved.rowcount == 1:
                return intent.changed(state, reason, now, cost)
            (intent,) = await find_intents(db, intents.c.intent_id == intent.intent_id)

    async def _note_attempt(
        self, db: AsyncConnection, attempt: sa.Row[Any], news: StatusNews, now: datetime
    ) -> tuple[sa.Row[Any], Cost | None]:
        """The attempt with all that the status tells of it, and its cost when that is known by it."""
        values, cost = price_news(attempt, news, self._rates, now)
        if attempt.heard_at is None:
            values["heard_at"] = now
        if news.as_marketing and not attempt.as_marketing:
            values["as_marketing"] = True
        erased = attempt.phone == ERASED
        if news.state is MessageState.FAILED:
            values |= {"failed_at": now, "error_code": news.error_code}
            if not erased:  # WhatsApp's own words may hold the number
                values["details"] = news.details or attempt.details
            said = None if news.error_code is None else handling(news.error_code, news.provider)
            values["error_class"] = said and said.error_class.value
        if not erased:
            values |= await self._note_person(db, attempt, news)
        if not values:
            return attempt, None
        ours = sa.update(attempts).where(attempts.c.reference == attempt.reference)
        return (await db.execute(ours.values(values).returning(attempts))).one(), cost

    async def _are_erased(self, db: AsyncConnection, *names: str | None) -> bool:
        return self._persons is not None and await is_to_be_kept_out(db, self._persons.names(EVERYWHERE, *names))

    async def _note_person(self, db: AsyncConnection, attempt: sa.Row[Any], news: StatusNews) -> dict[str, str]:
        """The columns that change by who the provider says the recipient is."""
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
        if names:
            await inherit_wish(db, attempt.phone, names)
        return values

    async def _note_breakers(
        self, db: AsyncConnection, before: sa.Row[Any], attempt: sa.Row[Any], news: StatusNews, now: datetime
    ) -> None:
        """A status opens the breaker of its error, or closes the one that the attempt was to try."""
        breaker = handling(news.error_code, news.provider).breaker if news.error_code is not None else None
        if news.as_marketing and before.as_marketing:
            pass  # It was told already, and the breaker may have closed since.
        elif news.as_marketing:
            await trip(db, attempt, RECATEGORISED, RECATEGORISED_REASON, now, by_status=True)
        elif breaker is not None and before.failed_at is None:
            await trip(db, attempt, breaker, news.reason or "", now, by_status=True)
        elif news.state not in {MessageState.FAILED, MessageState.ACCEPTED}:
            await close_by_status(db, attempt.reference)

    async def _is_latest(self, db: AsyncConnection, attempt: sa.Row[Any], intent: Intent) -> bool:
        claimed_at = await db.scalar(sa.select(intents.c.claimed_at).where(intents.c.intent_id == intent.intent_id))
        return bool(claimed_at == attempt.started_at)

    async def wish(self, wish: Wish, now: datetime) -> Sequence[MessageChangedV1]:
        async with self._engine.begin() as db:
            if await self._are_erased(db, wish.phone, wish.user_id):
                return []
            people = await names_of(db, wish)
            knew = wish.opted_out and await is_opted_out(db, people.names)
            noted, cancelled = await record_wish(db, wish, people, now)
            if noted and wish.opted_out and not knew:
                await plan_confirmation(db, wish, people.phones, now)
            changes = [intent.changed(MessageState.CANCELLED, OPTED_OUT, now) for intent in cancelled]
            await record_changes(db, changes)
        return changes

    async def reply(self, reply: Reply) -> None:
        async with self._engine.begin() as db:
            if not await self._are_erased(db, reply.phone, reply.user_id):
                await record_reply(db, reply)
