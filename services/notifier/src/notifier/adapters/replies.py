"""When a person last answered an organisation, and that somebody here has dealt with it."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters.opt_outs import names_of
from notifier.adapters.sql import upsert
from notifier.learning_tables import replies
from notifier.lesson_ports import Reply
from notifier.tables import attempts, intents, snapshots


async def record_reply(db: AsyncConnection, reply: Reply) -> None:
    """For the organisation whose message is answered, else for the one that wrote to the person last.

    Nobody's who was never written to.
    """
    people = await names_of(db, reply)
    for phone in people.phones:
        tenant_id = await _answered(db, reply.reply_to, phone)
        if tenant_id is not None:
            insert = upsert(db, replies).values(tenant_id=tenant_id, phone=phone, replied_at=reply.said_at)
            newest = {"replied_at": insert.excluded.replied_at}
            older = replies.c.replied_at < insert.excluded.replied_at
            await db.execute(
                insert.on_conflict_do_update(index_elements=["tenant_id", "phone"], set_=newest, where=older)
            )


async def _answered(db: AsyncConnection, reply_to: str | None, phone: str) -> str | None:
    to_phone = sa.select(attempts.c.tenant_id).where(attempts.c.phone == phone)
    if reply_to is not None:
        tenant_id = await db.scalar(to_phone.where(attempts.c.provider_message_id == reply_to).limit(1))
        if tenant_id is not None:
            return str(tenant_id)
    tenant_id = await db.scalar(to_phone.order_by(attempts.c.started_at.desc()).limit(1))
    return None if tenant_id is None else str(tenant_id)


async def end_pause(engine: AsyncEngine, tenant_id: str, contact: str, now: datetime) -> int:
    """Take a contact's answers up to now as dealt with; ``contact`` is its id, or an invoice's id or number.

    Returns for how many of its numbers there was one.
    """
    named = sa.or_(
        intents.c.contact_id == contact, intents.c.invoice_id == contact, intents.c.invoice_number == contact
    )
    written_to = sa.select(intents.c.phone).where(intents.c.tenant_id == tenant_id, named)
    # Of an invoice about which nothing was said yet, the number is where its snapshot has it.
    body = snapshots.c.body
    seen = sa.select(body["contact"]["phone"].as_string()).where(
        snapshots.c.tenant_id == tenant_id,
        sa.or_(
            snapshots.c.invoice_id == contact,
            body["invoice"]["number"].as_string() == contact,
            body["contact"]["contact_id"].as_string() == contact,
        ),
    )
    phones = written_to.union(seen)
    async with engine.begin() as db:
        ended = await db.execute(
            sa.update(replies)
            .where(replies.c.tenant_id == tenant_id, replies.c.phone.in_(phones), _not_ended())
            .values(ended_at=now)
        )
    return ended.rowcount


def replied_at(tenant: sa.BindParameter[Any], number: sa.BindParameter[Any]) -> sa.Select[tuple[datetime]]:
    """When the number answered last, unless that was dealt with."""
    return sa.select(replies.c.replied_at).where(replies.c.tenant_id == tenant, replies.c.phone == number, _not_ended())


def _not_ended() -> sa.ColumnElement[bool]:
    return sa.or_(replies.c.ended_at.is_(None), replies.c.ended_at < replies.c.replied_at)
