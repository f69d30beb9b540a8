"""The answers to STOP in SQL: at most one a day and person, claimed by compare-and-set."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters.opt_outs import is_opted_out
from notifier.adapters.pacing import take_turn
from notifier.adapters.prices import bill_values, price_news
from notifier.adapters.sql import upsert
from notifier.adapters.switches import halts
from notifier.confirm_ports import Confirmation
from notifier.learning_tables import confirmations
from notifier.lesson_ports import StatusNews, Wish
from notifier.model import ERASED
from notifier.ports import Accepted, Outcome, Pace, Rejected, TurnKind
from notifier.rates import Bill, Rates
from notifier.statuses import merged
from notifier.tables import attempts, intents, snapshots
from shared.contracts.messages import MessageState
from shared.runtime.database import for_reading

LATER = timedelta(seconds=15)
"""After which an answer that something stops is looked at again."""
_PLANNED, _SENDING = MessageState.PLANNED.value, MessageState.SENDING.value


async def plan_confirmation(db: AsyncConnection, wish: Wish, phones: Sequence[str], now: datetime) -> None:
    """For who was written to before; a stranger's STOP is kept and not answered."""
    last = await db.execute(
        sa.select(attempts.c.phone, attempts.c.tenant_id, intents.c.contact_id, intents.c.invoice_id)
        .join(intents, intents.c.intent_id == attempts.c.intent_id)
        .where(attempts.c.phone.in_(phones))
        .order_by(attempts.c.started_at.desc())
        .limit(1)
    )
    row = last.one_or_none()
    if row is None:
        return
    insert = upsert(db, confirmations).values(
        reference=f"v1.{secrets.token_urlsafe(18)}",
        phone=row.phone,
        said_on=wish.said_at.astimezone(UTC).date(),
        said_at=wish.said_at,
        tenant_id=row.tenant_id,
        contact_id=row.contact_id,
        invoice_id=row.invoice_id,
        state=_PLANNED,
        due_at=now,
        changed_at=now,
        tries=0,
    )
    # Wanted again before an answer was tried, and now no more: the day's one answer is for the last STOP.
    never_tried = sa.and_(
        confirmations.c.state == MessageState.CANCELLED.value,
        confirmations.c.claimed_at.is_(None),
        confirmations.c.contact_id != ERASED,
    )
    anew = {"state": _PLANNED, "reason": None, "said_at": wish.said_at, "due_at": now, "changed_at": now, "tries": 0}
    await db.execute(insert.on_conflict_do_update(index_elements=["phone", "said_on"], set_=anew, where=never_tried))


async def note_confirmation(db: AsyncConnection, news: StatusNews, rates: Rates, now: datetime) -> bool:
    """Whether the status is of a confirmation; then it moves forward and is priced."""
    ours = confirmations.c.provider_message_id == news.provider_message_id
    if news.reference:
        ours |= confirmations.c.reference == news.reference
    row = (await db.execute(sa.select(confirmations).where(ours).limit(1).with_for_update())).one_or_none()
    if row is None:
        return False
    values, _ = price_news(row, news, rates, now)
    state = merged(MessageState(row.state), news.state)
    if state.value != row.state:
        values |= {"state": state.value, "reason": news.reason if state is MessageState.FAILED else None}
        values["changed_at"] = now
    if row.contact_id != ERASED:  # WhatsApp's own words and its id of a message may hold the number
        if news.details:
            values["details"] = news.details
        if row.provider_message_id is None:
            values["provider_message_id"] = news.provider_message_id
    if values:
        await db.execute(_update(row.reference).values(values))
    return True


class SqlConfirmations:
    """See :class:`notifier.confirm_ports.Confirmations`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = for_reading(engine)

    async def due(self, now: datetime, limit: int) -> Sequence[Confirmation]:
        at_hand = sa.and_(
            snapshots.c.tenant_id == confirmations.c.tenant_id, snapshots.c.invoice_id == confirmations.c.invoice_id
        )
        async with self._reading.connect() as db:
            rows = await db.execute(
                sa.select(confirmations, snapshots.c.body)
                .outerjoin(snapshots, at_hand)
                .where(confirmations.c.state == _PLANNED, confirmations.c.due_at <= now)
                .order_by(confirmations.c.due_at)
                .limit(limit)
            )
            return [_confirmation(row) for row in rows]

    async def claim(self, item: Confirmation, bill: Bill, pace: Pace, now: datetime) -> bool:
        # Who wrote within a day does not count among the day's recipients.
        pace = replace(pace, daily_recipients=None)
        async with self._engine.begin() as db:
            stops = await halts(db)
            broken = any(found.concerns(pace.number, item.tenant_id, None, pace.sender) for found in stops.breakers)
            if broken or stops.is_paused(item.tenant_id):
                # Behind the others: those of an organisation that waits long must not fill every round.
                await db.execute(_waiting(item.reference).values(due_at=now + LATER))
                return False
            if not await is_opted_out(db, [item.phone]):
                await self._end(db, item.reference, MessageState.CANCELLED, "wanted_again", now)
                return False
            turn = await take_turn(db, pace, item.phone, now)
            if turn.kind is not TurnKind.GO:
                await db.execute(_waiting(item.reference).values(due_at=turn.until or now))
                return False
            claimed = await db.execute(
                _waiting(item.reference).values(
                    state=_SENDING, claimed_at=now, changed_at=now, tries=confirmations.c.tries + 1, **bill_values(bill)
                )
            )
            return claimed.rowcount == 1

    async def settle(self, reference: str, outcome: Outcome, now: datetime, retry_at: datetime | None) -> None:
        values: dict[str, Any] = {"changed_at": now}
        async with self._engine.begin() as db:
            found = sa.select(confirmations).where(confirmations.c.reference == reference).with_for_update()
            row = (await db.execute(found)).one()
            current, erased = MessageState(row.state), row.contact_id == ERASED
            match outcome:
                case Accepted():
                    values |= {"state": merged(current, MessageState.ACCEPTED).value, "reason": None}
                    values["provider_message_id"] = None if erased else outcome.provider_message_id
                case Rejected() if current is not MessageState.SENDING:
                    return
                case Rejected():
                    values |= {"reason": outcome.reason, "details": None if erased else outcome.details}
                    values["state"] = MessageState.FAILED.value if retry_at is None or erased else _PLANNED
                    values["due_at"] = retry_at or row.due_at
                case _:
                    values |= {"state": merged(current, MessageState.UNKNOWN).value, "reason": outcome.reason}
            await db.execute(_update(reference).values(values))

    async def give_up(self, reference: str, reason: str, now: datetime) -> None:
        async with self._engine.begin() as db:
            await self._end(db, reference, MessageState.SUPPRESSED, reason, now)

    async def abandon(self, claimed_before: datetime, now: datetime) -> None:
        gone = sa.and_(confirmations.c.state == _SENDING, confirmations.c.claimed_at < claimed_before)
        async with self._reading.connect() as db:
            if await db.scalar(sa.select(sa.literal(1)).select_from(confirmations).where(gone).limit(1)) is None:
                return
        unknown = {"state": MessageState.UNKNOWN.value, "reason": "sender_gone", "changed_at": now}
        async with self._engine.begin() as db:
            await db.execute(sa.update(confirmations).where(gone).values(unknown))

    async def _end(self, db: AsyncConnection, reference: str, state: MessageState, reason: str, now: datetime) -> None:
        await db.execute(_waiting(reference).values(state=state.value, reason=reason, changed_at=now))


def _update(reference: str) -> sa.Update:
    return sa.update(confirmations).where(confirmations.c.reference == reference)


def _waiting(reference: str) -> sa.Update:
    return _update(reference).where(confirmations.c.state == _PLANNED)


def _confirmation(row: sa.Row[Any]) -> Confirmation:
    body = row.body or {}
    return Confirmation(
        reference=row.reference,
        phone=row.phone,
        tenant_id=row.tenant_id,
        contact_id=row.contact_id,
        contact_name=body.get("contact", {}).get("name", ""),
        time_zone=body.get("organisation", {}).get("time_zone", "UTC"),
        said_at=row.said_at,
        tries=row.tries,
    )
