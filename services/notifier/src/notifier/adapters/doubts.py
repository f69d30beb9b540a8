"""The attempts of one sender that nobody has answered for, in the ledger."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.look_up import InDoubt
from notifier.model import ERASED
from notifier.ports import Attempt
from notifier.tables import attempts, intents
from shared.contracts.messages import MessageState
from shared.runtime.database import for_reading


class SqlDoubts:
    """See :class:`notifier.look_up.Doubts`."""

    def __init__(self, engine: AsyncEngine, sender: str) -> None:
        self._reading = for_reading(engine)
        self._sender = sender

    async def in_doubt(self, since: datetime, now: datetime) -> Sequence[InDoubt]:
        question = (
            sa.select(attempts, intents.c.invoice_number, intents.c.state)
            .join(intents, intents.c.intent_id == attempts.c.intent_id)
            .where(
                attempts.c.sender == self._sender,
                attempts.c.provider_message_id.is_(None),
                # Whom it went to is forgotten: there is nobody to ask about.
                attempts.c.phone != ERASED,
                # Only a rejection is certain; without an end the process died between its claim and the answer.
                sa.or_(attempts.c.ended_at.is_(None), attempts.c.error_class.is_(None)),
                attempts.c.started_at.between(since, now),
            )
            .order_by(attempts.c.started_at.desc())
        )
        async with self._reading.connect() as db:
            rows = (await db.execute(question)).all()
        return [
            InDoubt(
                Attempt(row.reference, row.intent_id, row.tenant_id, row.phone, row.template, row.released),
                row.started_at,
                row.invoice_number,
                unknown=row.state == MessageState.UNKNOWN.value,
            )
            for row in rows
        ]

    async def unclaimed(self, ids: Sequence[str]) -> Sequence[str]:
        if not ids:
            return ()
        taken = sa.select(attempts.c.provider_message_id).where(attempts.c.provider_message_id.in_(ids))
        async with self._reading.connect() as db:
            known = set(await db.scalars(taken))
        return [each for each in ids if each not in known]
