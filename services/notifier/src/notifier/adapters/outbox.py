"""The outbox in SQL: what changed is written in the transaction that changes it, and forgotten once it is told."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters.sql import upsert
from notifier.learning_tables import tellers, untold
from notifier.model import CLOCKS_DIFFER
from notifier.outbox_ports import Backlog, Untold
from shared.contracts.messages import MessageChangedV1
from shared.runtime.database import for_reading
from shared.telemetry.correlation import correlation_id

LEASE = timedelta(seconds=30)
"""After which another replica takes over from one that is gone; far longer than a batch may take."""
_TURN = "changes"
_INSERT = sa.insert(untold)


class Telling:
    """What one transaction changes, each with the correlation id of its cause, in the order it happens."""

    def __init__(self) -> None:
        self._rows: list[dict[str, object]] = []

    def add(self, changes: Iterable[MessageChangedV1], correlation_id: str | None) -> None:
        self._rows += [
            {
                "event_id": uuid4().hex,
                "intent_id": change.intent_id,
                "correlation_id": correlation_id,
                "body": change.model_dump(mode="json"),
                "changed_at": change.changed_at,
            }
            for change in changes
        ]

    async def record(self, db: AsyncConnection) -> None:
        """Last in the transaction, in one statement: a message's changes are numbered in the order they happened."""
        if self._rows:
            await db.execute(_INSERT, self._rows)


async def record_changes(db: AsyncConnection, changes: Iterable[MessageChangedV1]) -> None:
    """In the transaction that makes them, after them, for the work at hand."""
    telling = Telling()
    telling.add(changes, correlation_id())
    await telling.record(db)


class SqlOutbox:
    """See :class:`notifier.outbox_ports.Outbox`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = for_reading(engine)

    async def is_empty(self) -> bool:
        async with self._reading.connect() as db:
            return await db.scalar(sa.select(sa.literal(1)).select_from(untold).limit(1)) is None

    async def take(self, holder: str, now: datetime, told: Sequence[str], limit: int) -> Sequence[Untold]:
        async with self._engine.begin() as db:
            await _forget(db, told)
            if not await _is_turn_of(db, holder, now):
                return []
            rows = (await db.execute(sa.select(untold).order_by(untold.c.entry).limit(limit))).all()
            if not rows:
                await _end_turn(db, holder)
        return [Untold(row.event_id, MessageChangedV1.model_validate(row.body), row.correlation_id) for row in rows]

    async def give_back(self, holder: str, told: Sequence[str]) -> None:
        async with self._engine.begin() as db:
            await _forget(db, told)
            await _end_turn(db, holder)

    async def backlog(self) -> Backlog:
        async with self._reading.connect() as db:
            row = (await db.execute(sa.select(sa.func.count(), sa.func.min(untold.c.changed_at)))).one()
        return Backlog(row[0], row[1])


async def _forget(db: AsyncConnection, told: Sequence[str]) -> None:
    """By their ids, not their numbers: SQLite gives a number out again when its table was emptied."""
    if told:
        await db.execute(sa.delete(untold).where(untold.c.event_id.in_(list(told))))


async def _is_turn_of(db: AsyncConnection, holder: str, now: datetime) -> bool:
    # Nobody's lease can reach so far: a clock that ran ahead gave it.
    ahead = tellers.c.until > now + LEASE + CLOCKS_DIFFER
    insert = upsert(db, tellers).values(turn=_TURN, holder=holder, until=now + LEASE)
    taken = await db.execute(
        insert.on_conflict_do_update(
            index_elements=["turn"],
            set_={"holder": holder, "until": now + LEASE},
            where=sa.or_(tellers.c.holder == holder, tellers.c.until <= now, ahead),
        ).returning(tellers.c.turn)
    )
    return taken.one_or_none() is not None


async def _end_turn(db: AsyncConnection, holder: str) -> None:
    await db.execute(sa.delete(tellers).where(tellers.c.turn == _TURN, tellers.c.holder == holder))
