"""Consents in SQL: one row per opened link, and the one transaction in which a consent becomes a grant."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from shared.runtime.database import UtcDateTime
from token_broker.adapters.grant_store import NO_CLAIM, lifetime, sealed_pair, untold_change
from token_broker.adapters.transactions import Database, Transaction
from token_broker.consent_ports import Consent
from token_broker.keyring import KeyRing
from token_broker.links import Link
from token_broker.ports import Organisation, TokenPair
from token_broker.problems import ConsentRefused, Problem
from token_broker.tables import ACTIVE, CONNECTED, connections, consents, grants

Row = Mapping[str, Any]
_LOOK_AFTER = timedelta(minutes=10)


class SqlConsents:
    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    async def open(self, link: Link, new_state: str, life_seconds: float) -> str | None:
        async with self._database.transaction() as work:
            expires_at = work.now + timedelta(seconds=life_seconds)
            await _insert_unless_there(
                work,
                consents,
                {
                    "nonce": link.nonce,
                    "link_expires_at": link.expires_at,
                    "state": new_state,
                    "state_expires_at": expires_at,
                },
            )
            opened = await work.connection.execute(
                sa.update(consents)
                .where(consents.c.nonce == link.nonce, consents.c.used_at.is_(None))
                .values(state_expires_at=expires_at)
                .returning(consents.c.state)
            )
            state: str | None = opened.scalar_one_or_none()
            return state

    async def begin(self, state: str, owner: str, life_seconds: float) -> Consent:
        async with self._database.transaction() as work:
            row = await _locked(work, consents, consents.c.state == state)
            if row is None:
                raise ConsentRefused(Problem.STATE_UNKNOWN)
            if row["used_at"] is not None:
                raise ConsentRefused(Problem.STATE_USED)
            if row["state_expires_at"] <= work.now:
                raise ConsentRefused(Problem.STATE_EXPIRED)
            if row["claim"] is not None and row["claim_until"] > work.now:
                raise ConsentRefused(Problem.BEING_FINISHED)
            until = work.now + timedelta(seconds=life_seconds)
            await work.connection.execute(
                sa.update(consents).where(consents.c.state == state).values(claim=owner, claim_until=until)
            )
        return Consent(state, work.now, owner, Link(row["nonce"], row["link_expires_at"]))

    async def give_back(self, consent: Consent) -> None:
        async with self._database.transaction() as work:
            await work.connection.execute(
                sa.update(consents)
                .where(consents.c.state == consent.state, consents.c.claim == consent.owner)
                .values(claim=None, claim_until=None)
            )

    async def complete(
        self,
        consent: Consent,
        grant_id: str,
        pair: TokenPair,
        organisations: Sequence[Organisation],
    ) -> None:
        async with self._database.transaction() as work:
            used = await work.connection.execute(
                sa.update(consents)
                .where(
                    consents.c.state == consent.state, consents.c.claim == consent.owner, consents.c.used_at.is_(None)
                )
                .values(used_at=work.now, claim=None, claim_until=None)
            )
            if used.rowcount != 1:
                raise ConsentRefused(Problem.STATE_USED)
            await self._store_grant(work, grant_id, pair, consent.begun_at)
            for organisation in sorted(organisations, key=lambda each: each.tenant_id):
                await _connect(work, organisation, grant_id)

    async def _store_grant(self, work: Transaction, grant_id: str, pair: TokenPair, asked_at: datetime) -> None:
        # Whether the user disconnected something else meanwhile is for the next look to find out.
        state = {"status": ACTIVE, "failures": 0, "refusals": 0, "look_at": work.now + _LOOK_AFTER}
        state |= lifetime(asked_at, pair)
        first = {"id": grant_id, **sealed_pair(self._ring, grant_id, 1, pair), **state}
        if await _insert_unless_there(work, grants, first):
            return
        row = await _locked(work, grants, grants.c.id == grant_id)
        generation = 1 + (row["generation"] if row else 0)
        values = {**sealed_pair(self._ring, grant_id, generation, pair), **state}
        await work.connection.execute(
            sa.update(grants)
            .where(grants.c.id == grant_id)
            .values(**NO_CLAIM, unknown_since=None, not_before=None, **values)
        )


async def _connect(work: Transaction, organisation: Organisation, grant_id: str) -> None:
    """An organisation that is connected already keeps its date: nothing was interrupted."""
    change = {
        "tenant_name": organisation.name,
        "grant_id": grant_id,
        "status": CONNECTED,
        "reason": "",
        **untold_change(work),
    }
    first = {**change, "tenant_id": organisation.tenant_id, "connected_at": work.now, "revision": 1}
    if await _insert_unless_there(work, connections, first):
        return
    since = sa.case(
        (connections.c.status == CONNECTED, connections.c.connected_at), else_=sa.literal(work.now, UtcDateTime)
    )
    await work.connection.execute(
        sa.update(connections)
        .where(connections.c.tenant_id == organisation.tenant_id)
        .values(connected_at=since, **change)
    )


async def _insert_unless_there(work: Transaction, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert, or wait for whoever inserts the same key at this moment; False when the row is there."""
    dialect = postgresql if work.connection.dialect.name == "postgresql" else sqlite
    result = await work.connection.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())
    return result.rowcount == 1


async def _locked(work: Transaction, table: sa.Table, condition: sa.ColumnElement[bool]) -> Row | None:
    result = await work.connection.execute(sa.select(table).where(condition).with_for_update())
    row = result.mappings().first()
    return None if row is None else dict(row)
