"""The reminders of one contact that may leave in one statement, and claiming them all or none."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.sql import find_intents, to_intent
from notifier.model import Intent, Snapshot
from notifier.ports import Attempt, Sibling
from notifier.tables import intents, opt_outs, snapshots, statement_intents
from shared.contracts.messages import MessageKind, MessageState


async def siblings(
    db: AsyncConnection, intent: Intent, contact_id: str, now: datetime, limit: int
) -> Sequence[Sibling]:
    """See :meth:`notifier.ports.TenantBook.siblings`. Three questions at most, however many there are."""
    same = (snapshots.c.tenant_id == intents.c.tenant_id) & (snapshots.c.invoice_id == intents.c.invoice_id)
    rows = (
        await db.execute(
            sa.select(intents, snapshots.c.body)
            .join(snapshots, same)
            .where(
                intents.c.tenant_id == intent.tenant_id,
                intents.c.contact_id == contact_id,
                intents.c.kind == MessageKind.REMINDER.value,
                intents.c.state == MessageState.PLANNED.value,
                intents.c.stage > 0,
                intents.c.due_at <= now,
                intents.c.intent_id != intent.intent_id,
            )
            .order_by(intents.c.due_on, intents.c.intent_id)
            .limit(limit)
        )
    ).all()
    if not rows:
        return []
    said = await find_intents(
        db, intents.c.tenant_id == intent.tenant_id, intents.c.invoice_id.in_([row.invoice_id for row in rows])
    )
    return [
        Sibling(
            to_intent(row),
            Snapshot.model_validate(row.body),
            tuple(each for each in said if each.invoice_id == row.invoice_id),
        )
        for row in rows
    ]


async def hold_off(db: AsyncConnection, held: Sequence[Intent], until: datetime) -> None:
    """See :meth:`notifier.ports.TenantBook.hold_off`."""
    ids = [intent.intent_id for intent in held]
    await db.execute(sa.update(intents).where(intents.c.intent_id.in_(ids)).values(look_after=until))


async def claim_together(db: AsyncConnection, claimed: Sequence[Intent], values: Mapping[str, Any]) -> bool:
    """Whether all of them were planned still; then all have the values and one more try, else none has."""
    ids = [intent.intent_id for intent in claimed]
    # Asked once more: a STOP that was committed meanwhile is heard.
    stopped = sa.exists().where(opt_outs.c.person == values["phone"], opt_outs.c.opted_out)
    planned = intents.c.intent_id.in_(ids) & (intents.c.state == MessageState.PLANNED.value) & sa.not_(stopped)
    locked = sa.select(intents.c.intent_id).where(planned).order_by(intents.c.intent_id).with_for_update()
    if len((await db.execute(locked)).all()) < len(ids):
        return False
    tried = {**values, "tries": intents.c.tries + 1}
    await db.execute(sa.update(intents).where(intents.c.intent_id.in_(ids)).values(tried))
    return True


def of_statement(attempt: Attempt, others: Sequence[Intent]) -> Mapping[str, Any]:
    """What each intent knows of the statement that it leaves in; nothing of one when it leaves alone."""
    if not others:
        return {"statement": None, "statement_of": None}
    return {"statement": attempt.reference, "statement_of": len(others) + 1}


async def link_together(db: AsyncConnection, attempt: Attempt, intent: Intent, others: Sequence[Intent]) -> None:
    """Every outcome and status of the attempt is all of theirs from now on; nothing is written of one alone."""
    if others:
        links = [{"reference": attempt.reference, "intent_id": each.intent_id} for each in (intent, *others)]
        await db.execute(sa.insert(statement_intents), links)
