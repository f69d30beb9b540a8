"""Who wants no messages, under whatever name they said so: our number, WhatsApp's number or WhatsApp's user id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.adapters.sql import in_order, to_intent, to_stage, upsert
from notifier.lesson_ports import Reply, Wish
from notifier.model import ERASED, PENDING, Intent
from notifier.tables import attempts, decisions, intents, opt_outs
from shared.contracts.messages import MessageState

OPTED_OUT = "opted_out"


def user(user_id: str) -> str:
    """The key of a user id among the numbers."""
    return f"user:{user_id}"


async def inherit_wish(db: AsyncConnection, phone: str, names: Iterable[str]) -> None:
    """What was said under one of ``names`` before it was known to be ``phone``'s counts for ``phone`` too."""
    for row in await db.execute(sa.select(opt_outs).where(opt_outs.c.person.in_(list(names)))):
        await _note_wish(db, phone, opted_out=row.opted_out, said_at=row.said_at)


@dataclass(frozen=True, slots=True)
class Names:
    """Under what a person is known: the numbers we write to, and with them whatever the person may write under."""

    phones: Sequence[str]
    names: Sequence[str]


async def is_opted_out(db: AsyncConnection, names: Sequence[str]) -> bool:
    said = sa.select(sa.literal(1)).where(opt_outs.c.person.in_(list(names)), opt_outs.c.opted_out).limit(1)
    return await db.scalar(said) is not None


async def record_wish(db: AsyncConnection, wish: Wish, people: Names, now: datetime) -> tuple[bool, list[Intent]]:
    """Remember it for every name of the person: whether it is news, and the waiting messages it cancels."""
    news = [await _note_wish(db, name, opted_out=wish.opted_out, said_at=wish.said_at) for name in people.names]
    if not (wish.opted_out and any(news)):
        return any(news), []
    rows = await db.execute(
        sa.update(intents)
        .where(in_order(intents.c.phone.in_(people.phones), intents.c.state.in_([state.value for state in PENDING])))
        .values(state=MessageState.CANCELLED.value, reason=OPTED_OUT, changed_at=now)
        .returning(intents)
    )
    cancelled = [to_intent(row) for row in rows]
    for intent in cancelled:
        await db.execute(
            sa.update(decisions)
            .where(
                decisions.c.tenant_id == intent.tenant_id,
                decisions.c.invoice_id == intent.invoice_id,
                decisions.c.kind == intent.kind.value,
                decisions.c.stage == to_stage(intent.stage),
            )
            .values(verdict="cancel", rule=OPTED_OUT, decided_at=now)
        )
    return True, cancelled


async def names_of(db: AsyncConnection, wish: Wish | Reply) -> Names:
    """Everything known of who it is that says something."""
    phones = {wish.phone} if wish.phone else set()
    for column, value in (
        (attempts.c.whatsapp_phone, wish.phone),
        (attempts.c.person_user_id, wish.user_id),
        (attempts.c.provider_message_id, wish.reply_to),
    ):
        if value:
            found = await db.execute(sa.select(attempts.c.phone).where(column == value).distinct())
            phones |= {phone for (phone,) in found}
    known = sorted(phones - {ERASED})
    return Names(known, [*known, *([user(wish.user_id)] if wish.user_id else [])])


async def _note_wish(db: AsyncConnection, person: str, *, opted_out: bool, said_at: datetime) -> bool:
    """The newest wish counts; of two in one second the no. False when a newer one is known."""
    insert = upsert(db, opt_outs).values(person=person, opted_out=opted_out, said_at=said_at)
    newer = opt_outs.c.said_at < insert.excluded.said_at
    if opted_out:
        newer |= opt_outs.c.said_at == insert.excluded.said_at
    noted = await db.execute(
        insert.on_conflict_do_update(
            index_elements=["person"], set_={"opted_out": opted_out, "said_at": said_at}, where=newer
        ).returning(opt_outs.c.person)
    )
    return noted.one_or_none() is not None
