"""What an operator orders and asks about everything that stands in the way of messages."""

import getpass
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters import breakers, switches
from notifier.halts import EVERYTHING, Halts, OpenBreaker, Switch
from notifier.tables import intents
from notifier.whatsapp_errors import Scope
from shared.contracts.messages import MessageState
from shared.runtime.database import for_reading

_LATEST = 10


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many messages are in a state for a reason, of one organisation, and since when the oldest is."""

    tenant_id: str
    state: str
    reason: str | None
    messages: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that stands in the way now, what waits for it, and the latest words of persons, newest first."""

    halts: Halts
    behind: dict[str, int]
    """Breaker → how many messages are known to wait for it."""
    waiting: Sequence[Waiting]
    words: Sequence[tuple[Switch, bool]]


def whoever_runs_this() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


async def pause(engine: AsyncEngine, tenant_id: str | None, said_by: str, now: datetime) -> bool:
    """Stop an organisation's messages, or all; False when they were stopped. No claim is made after the commit."""
    async with engine.begin() as db:
        return await switches.say(db, tenant_id or EVERYTHING, paused=True, said_by=said_by, now=now)


async def resume(engine: AsyncEngine, tenant_id: str | None, said_by: str, now: datetime) -> bool:
    """Undo the pause of the same scope; False when there was none."""
    async with engine.begin() as db:
        return await switches.say(db, tenant_id or EVERYTHING, paused=False, said_by=said_by, now=now)


async def probe(engine: AsyncEngine, now: datetime) -> int:
    """Let one message through each open breaker now. Returns through how many."""
    async with engine.begin() as db:
        return await breakers.probe_now(db, now)


async def standing(engine: AsyncEngine) -> Standing:
    async with for_reading(engine).connect() as db:
        halts = await switches.halts(db)
        return Standing(
            halts,
            {item.key: await _behind(db, item) for item in halts.breakers},
            await _waiting(db),
            await switches.history(db, _LATEST),
        )


async def _behind(db: AsyncConnection, item: OpenBreaker) -> int:
    planned = sa.select(sa.func.count()).select_from(intents).where(intents.c.state == MessageState.PLANNED.value)
    match item.scope:
        case Scope.TEMPLATE:
            planned = planned.where(intents.c.waits_for == item.key)
        case Scope.TENANT:
            planned = planned.where(intents.c.tenant_id == item.name)
    return int(await db.scalar(planned) or 0)


async def _waiting(db: AsyncConnection) -> list[Waiting]:
    """What only a person, or a status, can move on."""
    columns = (intents.c.tenant_id, intents.c.state, intents.c.reason)
    rows = await db.execute(
        sa.select(*columns, sa.func.count().label("messages"), sa.func.min(intents.c.changed_at).label("oldest_at"))
        .where(intents.c.state.in_([MessageState.HELD.value, MessageState.UNKNOWN.value]))
        .group_by(*columns)
        .order_by(*columns)
    )
    return [Waiting(row.tenant_id, row.state, row.reason, row.messages, row.oldest_at) for row in rows]
