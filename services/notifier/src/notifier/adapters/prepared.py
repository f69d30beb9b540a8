"""The statements of every event, each built once: building one takes longer than a database takes to carry it out."""

from functools import cache
from typing import Any

import sqlalchemy as sa

from notifier.adapters.sql import upsert_on
from notifier.tables import decisions, intents, snapshots
from shared.contracts.messages import MessageKind, MessageState


def parameter(name: str) -> sa.BindParameter[Any]:
    """What is told with each execution; its type is that of the column it meets."""
    return sa.bindparam(name)


@cache
def snapshot_of() -> sa.Select[Any]:
    """Of ``tenant`` and ``invoice``: always one row, with ``body`` and whether a message has ``asked`` for another."""
    tenant, invoice = parameter("tenant"), parameter("invoice")
    asked = sa.exists().where(intents.c.tenant_id == tenant, intents.c.invoice_id == invoice, intents.c.looks > 0)
    body = sa.select(snapshots.c.body).where(snapshots.c.tenant_id == tenant, snapshots.c.invoice_id == invoice)
    return sa.select(body.scalar_subquery().label("body"), asked.label("asked"))


@cache
def save_snapshot(dialect: str) -> sa.Insert:
    """Unless a newer one is there."""
    insert = upsert_on(dialect, snapshots)
    return insert.on_conflict_do_update(
        index_elements=["tenant_id", "invoice_id"],
        set_={"read_at": insert.excluded.read_at, "body": insert.excluded.body},
        where=snapshots.c.read_at <= insert.excluded.read_at,
    )


_CANDIDATE = ["tenant_id", "invoice_id", "kind", "stage"]


@cache
def record(dialect: str, changed: tuple[str, ...]) -> sa.Insert:
    """A decision, of which ``changed`` replaces what an earlier one said; nothing does where it is empty."""
    insert = upsert_on(dialect, decisions)
    if not changed:
        return insert.on_conflict_do_nothing(index_elements=_CANDIDATE)
    return insert.on_conflict_do_update(
        index_elements=_CANDIDATE, set_={name: insert.excluded[name] for name in changed}
    )


@cache
def plan(dialect: str, changed: tuple[str, ...]) -> sa.sql.dml.ReturningInsert[Any]:
    """An intent; of one that can be revived ``changed`` is set. No row when there is one that cannot."""
    insert = upsert_on(dialect, intents)
    return insert.on_conflict_do_update(
        index_elements=_CANDIDATE,
        set_={name: insert.excluded[name] for name in changed},
        where=sa.and_(
            intents.c.state == MessageState.CANCELLED.value,
            intents.c.claimed_at.is_(None),
            intents.c.kind == MessageKind.REMINDER.value,
        ),
    ).returning(intents)
