"""Breakers in SQL: opened by an error, passed by one probe, closed by what becomes of it."""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.sql import upsert
from notifier.halts import PROBE_PATIENCE, OpenBreaker, account_of, after_unsure_probe, template_of
from notifier.ports import Accepted, Outcome, Rejected, Unknown
from notifier.tables import attempts, breakers, intents
from notifier.whatsapp_errors import Breaker, ErrorClass, Scope
from shared.contracts.messages import MessageState

_PLAIN = {ErrorClass.RECIPIENT.value, ErrorClass.OURS.value, ErrorClass.OTHER.value}


async def open_breakers(db: AsyncConnection) -> tuple[OpenBreaker, ...]:
    return tuple(
        OpenBreaker(Scope(row.scope), row.name, row.reason, row.opened_at, row.probe_at, row.probe, row.details)
        for row in await db.execute(_open())
    )


@cache
def _open() -> sa.Select[Any]:
    return sa.select(breakers).order_by(breakers.c.scope, breakers.c.name)


async def trip(
    db: AsyncConnection, attempt: sa.Row[Any], breaker: Breaker, reason: str, now: datetime, *, by_status: bool = False
) -> None:
    """Open what the error of ``attempt`` stops, unless too few have failed in a row; open already, it stays so."""
    if breaker.in_a_row > 1 and not await _failed_in_a_row(db, attempt.tenant_id, breaker.in_a_row):
        return
    number = attempt.number or await _number_of(db, attempt.sender)
    names = {
        Scope.ACCOUNT: account_of(attempt.sender),
        Scope.NUMBER: number,
        Scope.TENANT: attempt.tenant_id,
        Scope.TEMPLATE: template_of(attempt.template, attempt.sender),
    }
    # Of an attempt so old that its number is not known, all that its sender sends is stopped.
    scope = Scope.ACCOUNT if breaker.scope is Scope.NUMBER and not number else breaker.scope
    name = names[scope]
    probe_at = breaker.next_probe(await _opened_at(db, scope, name) if breaker.patience else None, now)
    insert = upsert(db, breakers).values(
        scope=scope.value,
        name=name,
        reason=reason,
        details=attempt.details,
        opened_at=now,
        probe_at=probe_at,
        probe=None,
        by_status=by_status,
    )
    later = sa.case((breakers.c.probe_at > probe_at, breakers.c.probe_at), else_=probe_at)
    again = {
        "reason": reason,
        "details": attempt.details,
        "probe_at": sa.case((breakers.c.probe.is_not(None), probe_at), else_=later),
        "probe": None,
        "by_status": sa.or_(breakers.c.by_status, sa.literal(by_status)),
    }
    await db.execute(insert.on_conflict_do_update(index_elements=["scope", "name"], set_=again))


async def _number_of(db: AsyncConnection, sender: str) -> str | None:
    """The number that the sender used last."""
    its = (attempts.c.sender == sender) & (attempts.c.number != "")
    number: str | None = await db.scalar(
        sa.select(attempts.c.number).where(its).order_by(attempts.c.started_at.desc()).limit(1)
    )
    return number


async def _opened_at(db: AsyncConnection, scope: Scope, name: str) -> datetime | None:
    ours = sa.select(breakers.c.opened_at).where(breakers.c.scope == scope.value, breakers.c.name == name)
    opened_at: datetime | None = await db.scalar(ours)
    return opened_at


async def _failed_in_a_row(db: AsyncConnection, tenant_id: str, how_many: int) -> bool:
    newest = (
        sa.select(attempts.c.error_class)
        .where(attempts.c.tenant_id == tenant_id, attempts.c.ended_at.is_not(None))
        .order_by(attempts.c.started_at.desc())
        .limit(how_many)
    )
    classes = list(await db.scalars(newest))
    return len(classes) == how_many and set(classes) <= _PLAIN


async def take_probe(db: AsyncConnection, item: OpenBreaker, reference: str, now: datetime) -> bool:
    """Whether the message of ``reference`` is the one that may try; by compare-and-set, since many ask."""
    taken = await db.execute(
        sa.update(breakers)
        .where(
            breakers.c.scope == item.scope.value,
            breakers.c.name == item.name,
            breakers.c.probe_at == item.probe_at,
            breakers.c.probe_at <= now,
        )
        .values(probe=reference, probe_at=now + PROBE_PATIENCE)
    )
    return taken.rowcount == 1


async def end_probe(db: AsyncConnection, reference: str, outcome: Outcome, now: datetime) -> None:
    """What an answer says of the breakers that let the attempt through; one that it opened anew is not among them."""
    through = breakers.c.probe == reference
    match outcome:
        case Accepted():
            await db.execute(sa.delete(breakers).where(through, breakers.c.by_status.is_(False)))
        case Rejected():
            # It failed for a fault of its own, which says nothing: the next one may try at once.
            await db.execute(sa.update(breakers).where(through).values(probe=None, probe_at=now))
        case Unknown():
            # It stays the one whose status may close the breaker.
            for row in await db.execute(sa.select(breakers).where(through)):
                this = sa.and_(through, breakers.c.scope == row.scope, breakers.c.name == row.name)
                soon = after_unsure_probe(row.opened_at, now)
                await db.execute(sa.update(breakers).where(this, breakers.c.probe_at > soon).values(probe_at=soon))


async def close_by_status(db: AsyncConnection, reference: str) -> None:
    """The provider says that the probe was sent."""
    await db.execute(sa.delete(breakers).where(breakers.c.probe == reference))


async def probe_now(db: AsyncConnection, now: datetime) -> int:
    """Let one message through each open breaker at once, as a person wishes."""
    for item in await open_breakers(db):
        await _wake_one(db, item, now)
    moved = await db.execute(sa.update(breakers).where(breakers.c.probe_at > now).values(probe_at=now))
    return moved.rowcount


async def _wake_one(db: AsyncConnection, item: OpenBreaker, now: datetime) -> None:
    """The message whose error opened the breaker may be the only one there is, and wait for a moment of its own."""
    if item.scope is Scope.TEMPLATE:
        behind = intents.c.waits_for == item.key
    elif item.scope is Scope.TENANT:
        behind = intents.c.tenant_id == item.name
    else:
        behind = intents.c.reason == item.reason
    planned = sa.and_(intents.c.state == MessageState.PLANNED.value, behind)
    if await db.scalar(sa.select(sa.literal(1)).where(planned, intents.c.due_at <= now).limit(1)) is None:
        tried = planned & (intents.c.reason == item.reason)
        first = sa.select(intents.c.intent_id).where(tried).order_by(intents.c.due_at).limit(1).scalar_subquery()
        await db.execute(sa.update(intents).where(intents.c.intent_id == first).values(due_at=now))


async def probe_templates(db: AsyncConnection, templates: Collection[str], now: datetime) -> list[str]:
    """Let one message through the open breakers of these templates at once. Returns by what key messages wait there."""
    # Whichever sender's: a probe too many costs nothing, and an account's senders share its templates.
    named = [item.name for item in await open_breakers(db) if any(item.stops_template(each) for each in templates)]
    ours = (breakers.c.scope == Scope.TEMPLATE.value) & breakers.c.name.in_(named)
    sooner = sa.case((breakers.c.probe_at > now, now), else_=breakers.c.probe_at)
    moved = await db.execute(sa.update(breakers).where(ours).values(probe_at=sooner).returning(breakers.c.name))
    return [f"{Scope.TEMPLATE.value}:{name}" for name in moved.scalars()]


async def let_wait(db: AsyncConnection, intent_id: str, item: OpenBreaker) -> None:
    """Leave an intent out of what is due until the breaker closes, or until it may probe."""
    await db.execute(sa.update(intents).where(intents.c.intent_id == intent_id).values(waits_for=item.key))
