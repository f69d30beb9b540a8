"""One organisation's part of the ledger inside one transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.account_templates import TemplateState
from notifier.adapters import prepared
from notifier.adapters.brake import busiest_hour, pull_brake, wave
from notifier.adapters.breakers import let_wait, take_probe
from notifier.adapters.history import history
from notifier.adapters.outbox import Telling
from notifier.adapters.pacing import take_turn
from notifier.adapters.prices import bill_values
from notifier.adapters.siblings import claim_together, hold_off, link_together, of_statement, siblings
from notifier.adapters.spending import SpendingBook
from notifier.adapters.sql import find_intents, to_intent, to_stage
from notifier.adapters.switches import HaltsInside
from notifier.adapters.template_book import known_template
from notifier.brake import BRAKE
from notifier.halts import OpenBreaker
from notifier.model import Decision, History, Intent, Snapshot, Tenant, Verdict
from notifier.persons import Persons
from notifier.ports import Attempt, Pace, Sibling, Turn, Wave
from notifier.tables import intents, tenants
from shared.contracts.messages import MessageChangedV1, MessageKind, MessageState

_NEXT = timedelta(microseconds=1)


class SqlTenantBook(SpendingBook):
    """Made of the tenant's row, which is locked; see :class:`notifier.ports.TenantBook`."""

    def __init__(
        self,
        connection: AsyncConnection,
        row: sa.Row[Any],
        pace: Pace,
        halts: HaltsInside,
        telling: Telling,
        persons: Persons | None = None,
    ) -> None:
        self._db = connection
        self._halts = halts
        self._telling = telling
        self._tenant_id: str = row.tenant_id
        self._row = row
        self._pace = pace
        self._persons = persons
        self._unasked: set[str] = set()
        self._sums = {}

    async def tenant(self) -> Tenant:
        row = self._row
        return Tenant(row.tenant_id, row.connected_at, row.announced, lost=row.lost_at is not None)

    async def establish(self, connected_at: datetime) -> None:
        row = self._row
        # A reconnection is no new beginning, and older news than the last one changes nothing.
        values: dict[str, object] = {"announced": True, "connected_at": min(row.connected_at, connected_at)}
        if row.heard_at is None or connected_at >= row.heard_at:
            values |= {"lost_at": None, "heard_at": connected_at}
            await self._forget_looks()
        await self._update_tenant(values)

    async def lose(self, lost_at: datetime) -> None:
        if self._row.heard_at is None or lost_at > self._row.heard_at:
            await self._update_tenant({"lost_at": lost_at, "heard_at": lost_at})

    async def _update_tenant(self, values: dict[str, object]) -> None:
        ours = sa.update(tenants).where(tenants.c.tenant_id == self._tenant_id)
        self._row = (await self._db.execute(ours.values(values).returning(tenants))).one()

    async def snapshot(self, invoice_id: str) -> Snapshot | None:
        ours = {"tenant": self._tenant_id, "invoice": invoice_id}
        found = (await self._db.execute(prepared.snapshot_of(), ours)).one()
        if not found.asked:
            self._unasked.add(invoice_id)
        return None if found.body is None else Snapshot.model_validate(found.body)

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        values = {
            "tenant_id": self._tenant_id,
            "invoice_id": snapshot.invoice.invoice_id,
            "read_at": snapshot.read_at,
            "body": snapshot.model_dump(mode="json"),
        }
        await self._db.execute(prepared.save_snapshot(self._db.dialect.name), values)
        if snapshot.invoice.invoice_id not in self._unasked:
            await self._forget_looks(intents.c.invoice_id == snapshot.invoice.invoice_id)

    async def _forget_looks(self, *which: sa.ColumnElement[bool]) -> None:
        waits = (intents.c.looks > 0) | intents.c.look_after.is_not(None)
        asked = sa.update(intents).where(intents.c.tenant_id == self._tenant_id, waits, *which)
        await self._db.execute(asked.values(looks=0, look_after=None))

    async def history(self, snapshot: Snapshot, now: datetime, *, leaving: Intent | None = None) -> History:
        return await history(self._db, await self.tenant(), snapshot, now, leaving, self._persons)

    async def record(self, snapshot: Snapshot, decision: Decision, now: datetime) -> None:
        values = {
            "invoice_number": snapshot.invoice.number,
            "contact_id": snapshot.contact.contact_id,
            "due_on": snapshot.invoice.due_on,
            "verdict": decision.verdict.value,
            "rule": decision.rule,
            "due_at": decision.due_at,
            "decided_at": now,
        }
        key = {
            "tenant_id": self._tenant_id,
            "invoice_id": snapshot.invoice.invoice_id,
            "kind": decision.kind.value,
            "stage": to_stage(decision.stage),
        }
        changed = () if decision.weak else tuple(values)
        await self._db.execute(prepared.record(self._db.dialect.name, changed), {**key, **values})

    async def plan(
        self, snapshot: Snapshot, decision: Decision, state: MessageState, now: datetime, correlation_id: str | None
    ) -> Intent | None:
        values = {
            "invoice_number": snapshot.invoice.number,
            "contact_id": snapshot.contact.contact_id,
            "phone": snapshot.contact.phone,
            "state": state.value,
            "reason": None if decision.verdict is Verdict.PLAN else decision.rule,
            "due_on": snapshot.invoice.due_on,
            "due_at": decision.due_at or now,
            "changed_at": now,
            "tries": 0,
            "looks": 0,
            "look_after": None,
            "link_until": None,
            "waits_for": None,
            "weight": float(snapshot.invoice.amount_due),
            "correlation_id": correlation_id,
            "gathers": decision.gathers,
        }
        new = {
            "intent_id": uuid4().hex,
            "tenant_id": self._tenant_id,
            "invoice_id": snapshot.invoice.invoice_id,
            "kind": decision.kind.value,
            "stage": to_stage(decision.stage),
            "created_at": now,
        }
        planned = prepared.plan(self._db.dialect.name, tuple(values))
        row = (await self._db.execute(planned, {**new, **values})).one_or_none()
        return None if row is None else to_intent(row)

    async def intent(self, intent_id: str) -> Intent | None:
        row = (await self._db.execute(prepared.intent_of(), {"the_intent": intent_id})).one_or_none()
        return None if row is None or row.tenant_id != self._tenant_id else to_intent(row)

    async def intent_about(self, invoice_id: str, kind: MessageKind, stage: int | None) -> Intent | None:
        invoice = (intents.c.tenant_id == self._tenant_id) & (intents.c.invoice_id == invoice_id)
        found = await find_intents(self._db, invoice, intents.c.kind == kind.value, intents.c.stage == to_stage(stage))
        return found[0] if found else None

    async def move(self, intent: Intent, state: MessageState, reason: str | None, now: datetime) -> bool:
        return await self._change(intent, state=state.value, reason=reason, changed_at=now)

    async def tell(self, changes: Sequence[MessageChangedV1], correlation_id: str | None) -> None:
        self._telling.add(changes, correlation_id)

    async def postpone(self, intent: Intent, due_at: datetime, now: datetime) -> None:
        await self._change(intent, due_at=due_at, changed_at=now, looks=0, look_after=None)

    async def ask_again(self, intent: Intent, look_after: datetime) -> bool:
        self._unasked.discard(intent.invoice_id)
        return await self._change(intent, looks=intent.looks + 1, look_after=look_after)

    async def await_link(self, intent: Intent, until: datetime) -> bool:
        return await self._change(intent, link_until=until)

    async def siblings(self, intent: Intent, contact_id: str, now: datetime, limit: int) -> Sequence[Sibling]:
        return await siblings(self._db, intent, contact_id, now, limit)

    async def hold_off(self, intents: Sequence[Intent], until: datetime) -> None:
        self._unasked.difference_update(intent.invoice_id for intent in intents)
        await hold_off(self._db, intents, until)

    async def claim(self, intent: Intent, attempt: Attempt, now: datetime, others: Sequence[Intent] = ()) -> bool:
        # Of two attempts the later one is later, whatever became of the clock.
        now = max([now, *(each.claimed_at + _NEXT for each in (intent, *others) if each.claimed_at is not None)])
        values = {
            "state": MessageState.SENDING.value,
            "reason": None,
            "phone": attempt.phone,
            "claimed_at": now,
            "changed_at": now,
            "waits_for": None,
            **of_statement(attempt, others),
        }
        if others:
            claimed = await claim_together(self._db, [intent, *others], values)
        else:
            asked = {**_as_known(intent), **values, "the_phone": attempt.phone}
            claimed = (await self._db.execute(prepared.one_more_try(), asked)).rowcount == 1
        if claimed:
            begun = {
                "reference": attempt.reference,
                "intent_id": attempt.intent_id,
                "tenant_id": attempt.tenant_id,
                "phone": attempt.phone,
                "template": attempt.template,
                "number": self._pace.number,
                "sender": self._pace.sender,
                "provider": self._pace.provider,
                "released": attempt.released,
                "started_at": now,
                **bill_values(attempt.bill),
            }
            await self._db.execute(prepared.begin_attempt(), begun)
            await link_together(self._db, attempt, intent, others)
            self._spend(attempt.bill)
        return claimed

    async def _change(self, intent: Intent, **values: object) -> bool:
        """Compare and set on the state: whoever comes second changes nothing."""
        changed = await self._db.execute(prepared.change(), {**_as_known(intent), **values})
        return changed.rowcount == 1

    async def template(self, account: str, name: str, language: str) -> TemplateState | None:
        return await known_template(self._db, account, name, language)

    async def is_paused(self) -> bool:
        return (await self._halts()).is_paused(self._tenant_id)

    async def breakers(self, template: str | None) -> Sequence[OpenBreaker]:
        return [
            item
            for item in (await self._halts()).breakers
            if item.concerns(self._pace.number, self._tenant_id, template, self._pace.sender)
        ]

    async def let_wait(self, intent: Intent, breaker: OpenBreaker) -> None:
        await let_wait(self._db, intent.intent_id, breaker)

    async def take_probe(self, breaker: OpenBreaker, reference: str, now: datetime) -> bool:
        self._halts.changed()
        return await take_probe(self._db, breaker, reference, now)

    @asynccontextmanager
    async def tentatively(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        async with self._db.begin_nested() as part:
            yield part.rollback
        self._halts.changed()

    async def take_turn(self, phone: str, now: datetime) -> Turn:
        return await take_turn(self._db, self._pace, phone, now)

    async def wave(self, now: datetime, *, most: int, most_everywhere: int) -> Wave:
        return await wave(self._db, self._tenant_id, now, most=most, most_everywhere=most_everywhere)

    async def busiest_hour(self, now: datetime) -> int:
        return await busiest_hour(self._db, self._tenant_id, now)

    async def pull_brake(self, now: datetime, rule: str = BRAKE) -> tuple[Sequence[Intent], bool]:
        return await pull_brake(self._db, self._tenant_id, now, rule)


def _as_known(intent: Intent) -> dict[str, object]:
    return {"the_intent": intent.intent_id, "still": intent.state.value}
