"""What of the ledger may leave now, and in which order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.pacing import DAY, reached
from notifier.adapters.switches import halts
from notifier.halts import Halts, OpenBreaker, closed_now
from notifier.ports import Due, Pace, Unknown
from notifier.senders import EVERYTHING_DUE, Share
from notifier.still_wanted import FRESH_FOR
from notifier.tables import attempts, intents, snapshots, tenants
from notifier.whatsapp_errors import Scope
from shared.contracts.messages import MessageState


async def due(
    db: AsyncConnection, pace: Pace, now: datetime, limit: int, share: Share = EVERYTHING_DUE
) -> Sequence[Due]:
    """See :meth:`notifier.ports.Ledger.due`; only the sender's share of it."""
    stops = await halts(db)
    of_sender = stops.of_sender(pace.number, pace.sender)
    if stops.all_paused or closed_now(of_sender, now):
        return []
    if of_sender:
        limit = 1
    narrow = [
        item
        for item in stops.breakers
        if item.scope in {Scope.TENANT, Scope.TEMPLATE} and not item.is_of_another(pace.sender)
    ]
    ours = [] if share.is_everything else [_share_of(pace.sender, share)]
    free = [
        *ours,
        intents.c.tenant_id.not_in(sorted(stops.paused_tenants)),
        *(sa.not_(_behind(item)) for item in narrow),
    ]
    found = [*await _find(db, pace, now, limit, free)]
    for item in narrow:
        if item.lets_probe(now) and not of_sender:
            paused = intents.c.tenant_id.not_in(sorted(stops.paused_tenants))
            behind = [_behind(item), *_behind_others(stops, item, now)]
            found += await _find(db, pace, now, 1, [*ours, paused, *behind])
    return found


def _share_of(sender: str, share: Share) -> sa.ColumnElement[bool]:
    """Its organisations' messages, but what may have left by another sender stays that one's until it is settled."""
    of_us = intents.c.tenant_id.in_(sorted(share.tenants))
    if share.but:
        of_us = sa.not_(of_us)
    unsettled = sa.exists().where(
        attempts.c.intent_id == intents.c.intent_id,
        attempts.c.provider_message_id.is_(None),
        sa.or_(attempts.c.ended_at.is_(None), attempts.c.outcome == Unknown.__name__.lower()),
    )
    by_others = unsettled.where(attempts.c.sender.in_(sorted(share.others)))
    return sa.or_(
        sa.and_(of_us, sa.or_(intents.c.claimed_at.is_(None), sa.not_(by_others))),
        sa.and_(intents.c.claimed_at.is_not(None), unsettled.where(attempts.c.sender == sender), sa.not_(by_others)),
    )


def _behind(item: OpenBreaker) -> sa.ColumnElement[bool]:
    if item.scope is Scope.TENANT:
        return intents.c.tenant_id == item.name
    return sa.func.coalesce(intents.c.waits_for, "") == item.key


def _behind_others(stops: Halts, item: OpenBreaker, now: datetime) -> list[sa.ColumnElement[bool]]:
    return [sa.not_(_behind(other)) for other in closed_now(stops.of(Scope.TENANT), now) if other is not item]


async def _find(
    db: AsyncConnection, pace: Pace, now: datetime, limit: int, conditions: list[sa.ColumnElement[bool]]
) -> list[Due]:
    order: list[sa.ColumnElement[Any]] = [intents.c.due_at]
    left = None
    if pace.daily_recipients is not None:
        left = max(pace.daily_recipients - await reached(db, pace, now), 0)
        order = [_debt(now).desc(), intents.c.due_on, intents.c.due_at]
    first = _candidates(now, order, conditions).limit(limit)
    if left is not None and left < limit:
        known = sa.exists().where(
            attempts.c.phone == intents.c.phone, attempts.c.started_at > now - DAY, attempts.c.number == pace.number
        )
        again = await _read(db, _candidates(now, order, [*conditions, known]).limit(limit), now)
        return [*await _read(db, first.where(sa.not_(known)).limit(left), now), *again] if left else again
    return await _read(db, first, now)


def _debt(now: datetime) -> sa.ColumnElement[Any]:
    """What the message is about: a reminder that gathers weighs as much as all that leave with it."""
    other = intents.alias("other")
    together = (
        sa.select(sa.func.sum(other.c.weight))
        .where(
            other.c.tenant_id == intents.c.tenant_id,
            other.c.contact_id == intents.c.contact_id,
            other.c.kind == intents.c.kind,
            other.c.phone == intents.c.phone,
            other.c.state == MessageState.PLANNED.value,
            other.c.gathers,
            other.c.due_at <= now,
        )
        .correlate(intents)
        .scalar_subquery()
    )
    return sa.func.coalesce(sa.case((intents.c.gathers, together), else_=intents.c.weight), 0)


def _candidates(
    now: datetime, order: list[sa.ColumnElement[Any]], conditions: list[sa.ColumnElement[bool]]
) -> sa.Select[tuple[str, int]]:
    """The intents that are due, in turns between organisations; only what few rows remain is looked at closer."""
    link_known = sa.exists().where(
        snapshots.c.tenant_id == intents.c.tenant_id,
        snapshots.c.invoice_id == intents.c.invoice_id,
        sa.or_(
            *(snapshots.c.body["invoice"][name].as_string().is_not(None) for name in ("online_url", "no_link_reason"))
        ),
    )
    turn = sa.func.row_number().over(partition_by=intents.c.tenant_id, order_by=order).label("turn")
    return (
        sa.select(intents.c.intent_id, turn)
        .join(tenants, tenants.c.tenant_id == intents.c.tenant_id)
        .where(
            intents.c.state == MessageState.PLANNED.value,
            intents.c.due_at <= now,
            tenants.c.lost_at.is_(None),
            # A fresh snapshot takes the next request's moment away, so that here none needs to be read.
            sa.or_(intents.c.look_after.is_(None), intents.c.look_after <= now),
            sa.or_(intents.c.link_until.is_(None), intents.c.link_until <= now, link_known),
            *conditions,
        )
        .order_by("turn", *order)
    )


async def _read(db: AsyncConnection, candidates: sa.Select[tuple[str, int]], now: datetime) -> list[Due]:
    chosen = candidates.subquery()
    rows = await db.execute(
        sa.select(
            intents.c.intent_id,
            intents.c.tenant_id,
            intents.c.invoice_id,
            intents.c.correlation_id,
            (snapshots.c.read_at >= now - FRESH_FOR).label("fresh"),
        )
        .select_from(chosen)
        .join(intents, intents.c.intent_id == chosen.c.intent_id)
        .join(
            snapshots,
            sa.and_(snapshots.c.tenant_id == intents.c.tenant_id, snapshots.c.invoice_id == intents.c.invoice_id),
        )
        .order_by(chosen.c.turn, intents.c.due_at)
    )
    return [Due(row.intent_id, row.tenant_id, row.invoice_id, row.correlation_id, stale=not row.fresh) for row in rows]
