"""What SQLite and PostgreSQL say the same way, once; and rows as values."""

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import LEFT, Intent
from notifier.ports import Attempt
from notifier.tables import NO_STAGE, attempts, intents, statement_intents
from shared.contracts.messages import MessageKind, MessageState

Upsert = postgresql.Insert | sqlite.Insert

LEFT_STATES = tuple(sorted(state.value for state in LEFT))


def upsert(connection: AsyncConnection, table: sa.Table) -> Upsert:
    """An INSERT that knows ON CONFLICT."""
    return upsert_on(connection.dialect.name, table)


def upsert_on(dialect: str, table: sa.Table) -> Upsert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def to_stage(stage: int | None) -> int:
    return NO_STAGE if stage is None else stage


def from_stage(stage: int) -> int | None:
    return None if stage == NO_STAGE else stage


def to_intent(row: sa.Row[Any]) -> Intent:
    return Intent(
        intent_id=row.intent_id,
        tenant_id=row.tenant_id,
        invoice_id=row.invoice_id,
        invoice_number=row.invoice_number,
        contact_id=row.contact_id,
        kind=MessageKind(row.kind),
        stage=from_stage(row.stage),
        state=MessageState(row.state),
        reason=row.reason,
        due_on=row.due_on,
        due_at=row.due_at,
        created_at=row.created_at,
        claimed_at=row.claimed_at,
        released=row.released_at is not None,
        tries=row.tries,
        correlation_id=row.correlation_id,
        looks=row.looks,
        look_after=row.look_after,
        link_until=row.link_until,
        statement=row.statement,
        statement_of=row.statement_of,
    )


async def find_intents(connection: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> list[Intent]:
    rows = await connection.execute(sa.select(intents).where(*conditions).order_by(intents.c.due_at))
    return [to_intent(row) for row in rows]


async def intents_of(connection: AsyncConnection, attempt: sa.Row[Any] | Attempt) -> list[Intent]:
    """Those that left in the attempt, always in the same order, so that nobody locks them in another."""
    return [to_intent(row) for row in await connection.execute(_left_in(), {"reference": attempt.reference})]


@cache
def _left_in() -> sa.Select[Any]:
    reference: sa.BindParameter[Any] = sa.bindparam("reference")
    lead = sa.select(attempts.c.intent_id).where(attempts.c.reference == reference)
    others = sa.select(statement_intents.c.intent_id).where(statement_intents.c.reference == reference)
    return sa.select(intents).where(intents.c.intent_id.in_(lead.union(others))).order_by(intents.c.intent_id)


def in_order(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """The intents of these conditions, for an update of many: locked in the order in which statements are."""
    locked = sa.select(intents.c.intent_id).where(*conditions).order_by(intents.c.intent_id).with_for_update()
    return intents.c.intent_id.in_(locked)
