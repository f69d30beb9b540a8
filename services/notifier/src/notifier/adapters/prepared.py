"""What every event and every claim asks, built once: building a statement takes longer than carrying it out."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa

from notifier.adapters.erased import unless_erased
from notifier.adapters.sql import upsert_on
from notifier.model import REJECTED
from notifier.tables import attempts, decisions, intents, numbers, opt_outs, recipients, sent_hours, snapshots
from shared.contracts.messages import MessageKind, MessageState


def parameter(name: str) -> sa.BindParameter[Any]:
    """What is told with each execution; its type is that of the column it meets."""
    return sa.bindparam(name)


@cache
def snapshot_of() -> sa.Select[Any]:
    """Of ``tenant`` and ``invoice``: always one row, with ``body`` and whether a message awaits another (``asked``)."""
    tenant, invoice = parameter("tenant"), parameter("invoice")
    waits = (intents.c.looks > 0) | intents.c.look_after.is_not(None)
    asked = sa.exists().where(intents.c.tenant_id == tenant, intents.c.invoice_id == invoice, waits)
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
            sa.func.coalesce(intents.c.reason, "") != REJECTED,
        ),
    ).returning(intents)


@cache
def intent_of() -> sa.Select[Any]:
    """By ``the_intent``."""
    return sa.select(intents).where(intents.c.intent_id == parameter("the_intent"))


@cache
def change() -> sa.Update:
    """Of ``the_intent``, while it is ``still`` in a state: what else is told."""
    return sa.update(intents).where(
        intents.c.intent_id == parameter("the_intent"), intents.c.state == parameter("still")
    )


@cache
def one_more_try() -> sa.Update:
    """For ``the_phone``, unless who has it wants no messages."""
    stopped = sa.exists().where(opt_outs.c.person == parameter("the_phone"), opt_outs.c.opted_out)
    return change().where(sa.not_(stopped)).values(tries=intents.c.tries + 1)


@cache
def begin_attempt() -> sa.Insert:
    return sa.insert(attempts)


_ENDED = "ended_"


@cache
def end_attempt(changed: tuple[str, ...]) -> sa.sql.dml.ReturningUpdate[Any]:
    """Its values are told by :func:`to_end`; what tells of a person is not kept when that was erased meanwhile."""
    told = {name: sa.bindparam(f"{_ENDED}{name}", type_=attempts.c[name].type) for name in changed}
    values = {name: unless_erased(value) if name in _PERSONAL else value for name, value in told.items()}
    ours = sa.update(attempts).where(attempts.c.reference == parameter("the_attempt"))
    return ours.values(values).returning(attempts)


_PERSONAL = frozenset({"provider_message_id", "whatsapp_phone", "details"})


def to_end(reference: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"the_attempt": reference, **{f"{_ENDED}{name}": value for name, value in values.items()}}


@cache
def count_in_hour(dialect: str) -> sa.Insert:
    insert = upsert_on(dialect, sent_hours)
    one_more = {"messages": sent_hours.c.messages + 1}
    return insert.on_conflict_do_update(index_elements=["tenant_id", "hour"], set_=one_more)


@cache
def pace_of() -> sa.Select[Any]:
    """Of ``the_number``, locked."""
    return sa.select(numbers.c.next_at).where(numbers.c.number == parameter("the_number")).with_for_update()


@cache
def set_pace() -> sa.Update:
    """Of ``the_number``."""
    return sa.update(numbers).where(numbers.c.number == parameter("the_number"))


@cache
def last_to() -> sa.Select[Any]:
    """When ``the_phone`` was written to last."""
    return sa.select(recipients.c.claimed_at).where(recipients.c.phone == parameter("the_phone"))


@cache
def write_to(dialect: str) -> sa.sql.dml.ReturningInsert[Any]:
    """Note that a person is written to now; no row when that was done after ``spaced`` already."""
    insert = upsert_on(dialect, recipients)
    free = recipients.c.claimed_at <= parameter("spaced")
    return insert.on_conflict_do_update(
        index_elements=["phone"], set_={"claimed_at": insert.excluded.claimed_at}, where=free
    ).returning(recipients.c.phone)
