"""Erasing a person: remembered first, so that nothing new is kept, then taken out of every part of the ledger."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.adapters import erased as remembered
from notifier.adapters.erasure import Person, count_in, erase_everywhere, erase_in, invoices_of, known_names
from notifier.adapters.rewrite import rewrite
from notifier.persons import EVERYWHERE, Persons
from notifier.tables import tenants
from shared.runtime.database import for_reading

_REWRITES = 5


@dataclass(slots=True)
class Erasure:
    """What was found, or removed; ``tenants`` and ``words`` are for those who hold more of the person elsewhere."""

    person: Person
    tenants: Sequence[str]
    found: Counter[str] = field(default_factory=Counter)
    rewritten: bool = True

    @property
    def words(self) -> list[str]:
        """What tells of the person in a message's body. Not its name, which others may have, too."""
        return sorted({value.lstrip("+") for value in self.person.values})


class ErasePerson:
    """Any number of times, and while everything runs."""

    def __init__(self, engine: AsyncEngine, persons: Persons) -> None:
        self._engine = engine
        self._reading = for_reading(engine)
        self._persons = persons

    async def __call__(self, contact: str, tenant_id: str | None, now: datetime, *, really: bool) -> Erasure:
        """``contact`` is Xero's id or a number in E.164; without ``tenant_id`` in all organisations."""
        scope, erasure_id = tenant_id or EVERYWHERE, uuid4().hex
        engine = self._engine if really else self._reading
        async with self._reading.connect() as db:
            person = await known_names(db, Person.named(contact), tenant_id)
            everybody = list(await db.scalars(sa.select(tenants.c.tenant_id).order_by(tenants.c.tenant_id)))
        erasure = Erasure(person, [tenant_id] if tenant_id else everybody)
        if really:
            # From here on whatever is taken in is stored without the person.
            async with self._engine.begin() as db:
                await remembered.let_lessons_end(db)
                await self._remember(db, erasure.person, scope, erasure_id, now)
        for organisation in erasure.tenants:
            await self._in(erasure, organisation, scope, erasure_id, now, really=really)
        if tenant_id is None:
            async with engine.begin() as db:
                erasure.found += await erase_everywhere(db, erasure.person, really=really)
        if really:
            erasure.rewritten = await self._rewrite()
        return erasure

    async def _in(
        self, erasure: Erasure, organisation: str, scope: str, erasure_id: str, now: datetime, *, really: bool
    ) -> None:
        if really:
            invoices = await self._search(erasure, organisation, scope, erasure_id, now)
        else:
            async with self._reading.connect() as db:
                invoices = await invoices_of(db, erasure.person, organisation)
        engine = self._engine if really else self._reading
        async with engine.begin() as db:
            if really:
                await _lock(db, organisation)
            erasure.found += Counter(snapshots=len(invoices))
            erasure.found += await count_in(db, erasure.person, organisation)
            if really:
                await erase_in(db, erasure.person, organisation, invoices, now)

    async def _search(
        self, erasure: Erasure, organisation: str, scope: str, erasure_id: str, now: datetime
    ) -> Sequence[str]:
        """The invoices whose snapshots tell of the person, by all its names, none of which is taken in any more.

        The search reads every snapshot, so it locks nobody out: on SQLite a lock is everybody's.
        """
        while True:
            async with self._engine.begin() as db:
                # Whoever was at work with the person when it was remembered has ended once this lock is had.
                await _lock(db, organisation)
                await self._remember(db, erasure.person, scope, erasure_id, now)
            async with self._reading.connect() as db:
                person = await known_names(db, erasure.person, organisation)
                invoices = await invoices_of(db, person, organisation)
            if person == erasure.person:
                return invoices
            erasure.person = person

    async def _remember(self, db: AsyncConnection, person: Person, scope: str, erasure_id: str, now: datetime) -> None:
        names = self._persons.all_of(scope, person.values)
        await remembered.remember(db, self._persons, names, erasure_id, now)

    async def _rewrite(self) -> bool:
        for _ in range(_REWRITES):
            if await rewrite(self._engine):
                return True
        return False

    async def readmit(self, contact: str, tenant_id: str | None) -> int:
        """Let a person be known and written to again, as it wishes; by how many names it was known."""
        names = self._persons.all_of(tenant_id or EVERYWHERE, Person.named(contact).values)
        async with self._engine.begin() as db:
            return await remembered.readmit(db, names)


async def _lock(db: AsyncConnection, organisation: str) -> None:
    await db.execute(sa.select(tenants.c.tenant_id).where(tenants.c.tenant_id == organisation).with_for_update())
