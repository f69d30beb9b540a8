"""What is known of the business account's templates, in the ledger's database."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.account_templates import NOT_IN_LANGUAGE, NOT_LISTED, AccountTemplate, TemplateState
from notifier.adapters.breakers import probe_templates
from notifier.adapters.sql import upsert
from notifier.model import Verdict
from notifier.tables import account_listings, account_templates, decisions, intents
from notifier.template_ports import TemplateChange, TemplateNews
from shared.contracts.messages import MessageState
from shared.runtime.database import for_reading

_SAME_MOMENT = timedelta(minutes=1)
"""Meta's clock and ours may differ, and webhooks tell whole seconds. The next list sets right what is kept wrongly."""
_KEY = ["account", "name", "language"]


class SqlTemplateBook:
    """See :class:`notifier.ports.TemplateBook`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = for_reading(engine)

    async def listed_at(self, account: str) -> datetime | None:
        async with self._reading.connect() as db:
            return await _listed_at(db, account)

    async def listed(
        self, account: str, templates: Sequence[AccountTemplate], asked_at: datetime
    ) -> Sequence[TemplateChange]:
        found = {template.key: template.state for template in templates}
        changes: list[TemplateChange] = []
        async with self._engine.begin() as db:
            rows = await db.execute(sa.select(account_templates).where(account_templates.c.account == account))
            known = {(row.name, row.language): row for row in rows}
            for name, language in sorted(known.keys() | found.keys()):
                row, state = known.get((name, language)), found.get((name, language))
                before = None if row is None else _state(row)
                newer = row is not None and row.heard_at is not None and row.heard_at > asked_at - _SAME_MOMENT
                if newer or before == state:
                    continue
                await _put(db, account, name, language, state, None)
                changes.append(TemplateChange(name, language, before, state))
            listing = upsert(db, account_listings).values(account=account, listed_at=asked_at)
            await db.execute(listing.on_conflict_do_update(index_elements=["account"], set_={"listed_at": asked_at}))
        return changes

    async def unlisted(self, account: str) -> None:
        async with self._engine.begin() as db:
            await db.execute(sa.delete(account_listings).where(account_listings.c.account == account))
            told_by_the_list = (account_templates.c.account == account) & account_templates.c.heard_at.is_(None)
            await db.execute(sa.delete(account_templates).where(told_by_the_list))

    async def heard(self, news: TemplateNews) -> TemplateChange | None:
        async with self._engine.begin() as db:
            row = await _row(db, news.account, news.name, news.language)
            listed_at = await _listed_at(db, news.account)
            if row is not None and row.heard_at is not None and news.happened_at < row.heard_at:
                return None
            if listed_at is not None and news.happened_at < listed_at - _SAME_MOMENT:
                return None
            before = None if row is None else _state(row)
            told = before or TemplateState()
            state = TemplateState(
                news.status or told.status,
                news.category or told.category,
                told.parameters,
                news.quality or told.quality,
            )
            await _put(db, news.account, news.name, news.language, state, news.happened_at)
        return TemplateChange(news.name, news.language, before, state)

    async def look_again(self, usable: Collection[str], now: datetime) -> int:
        key = ("tenant_id", "invoice_id", "kind", "stage")
        waits_for_template = (
            sa.select(sa.literal(1))
            .where(
                *(decisions.c[name] == intents.c[name] for name in key),
                decisions.c.verdict == Verdict.POSTPONE.value,
                decisions.c.rule.startswith("template_", autoescape=True),
            )
            .exists()
        )
        planned = (intents.c.state == MessageState.PLANNED.value) & (intents.c.due_at > now)
        async with self._engine.begin() as db:
            stopped = await probe_templates(db, usable, now)
            waits = sa.or_(waits_for_template, intents.c.waits_for.in_(stopped))
            woken = await db.execute(sa.update(intents).where(planned, waits).values(due_at=now))
        return woken.rowcount


async def known_template(db: AsyncConnection, account: str, name: str, language: str) -> TemplateState | None:
    """What is known of one template, inside whatever transaction ``db`` is in."""
    row = await _row(db, account, name, language)
    if row is not None:
        return _state(row)
    if await _listed_at(db, account) is None:
        return None
    same_name = (account_templates.c.account == account) & (account_templates.c.name == name)
    others = await db.scalar(sa.select(sa.func.count()).select_from(account_templates).where(same_name))
    return TemplateState(status=NOT_IN_LANGUAGE if others else NOT_LISTED)


async def _listed_at(db: AsyncConnection, account: str) -> datetime | None:
    moment: datetime | None = await db.scalar(
        sa.select(account_listings.c.listed_at).where(account_listings.c.account == account)
    )
    return moment


async def _row(db: AsyncConnection, account: str, name: str, language: str) -> sa.Row[Any] | None:
    return (await db.execute(sa.select(account_templates).where(*_is(account, name, language)))).one_or_none()


def _is(account: str, name: str, language: str) -> tuple[sa.ColumnElement[bool], ...]:
    known = account_templates.c
    return known.account == account, known.name == name, known.language == language


async def _put(
    db: AsyncConnection, account: str, name: str, language: str, state: TemplateState | None, heard_at: datetime | None
) -> None:
    if state is None:
        await db.execute(sa.delete(account_templates).where(*_is(account, name, language)))
        return
    values = {
        "status": state.status,
        "category": state.category,
        "parameters": None if state.parameters is None else sorted(state.parameters),
        "quality": state.quality,
        "heard_at": heard_at,
    }
    insert = upsert(db, account_templates).values(account=account, name=name, language=language, **values)
    await db.execute(insert.on_conflict_do_update(index_elements=_KEY, set_=values))


def _state(row: sa.Row[Any]) -> TemplateState:
    parameters = None if row.parameters is None else frozenset(row.parameters)
    return TemplateState(row.status, row.category, parameters, row.quality)
