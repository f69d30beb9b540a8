"""Grants in SQL: every change is compared with the generation and the claim that it was decided on."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from shared.errors import ConfigurationError
from shared.telemetry.correlation import correlation_id
from token_broker.adapters.transactions import Database, Transaction
from token_broker.keyring import KeyRing, key_id
from token_broker.ports import Claim, Grant, TokenPair
from token_broker.tables import ACTIVE, CONNECTED, LOST, RECONNECT_NEEDED, connections, grants
from token_broker.timing import RefreshTiming


class SqlGrants:
    def __init__(self, database: Database, ring: KeyRing, timing: RefreshTiming) -> None:
        self._database = database
        self._ring = ring
        self._timing = timing

    async def check_keys(self) -> None:
        """Raises:
        ConfigurationError: a stored grant was sealed with a key that is not in the ring.
        """
        async with self._database.reading() as work:
            query = sa.select(grants.c.refresh_token).where(grants.c.status == ACTIVE)
            sealed = (await work.connection.execute(query)).scalars()
            missing = {key_id(text) for text in sealed} - self._ring.ids
        if missing:
            names = ", ".join(sorted(missing))
            raise ConfigurationError(f"DUEBELL_TOKEN_KEYS lacks a key that stored grants were sealed with: {names}")

    async def of_tenant(self, tenant_id: str) -> Grant | None:
        query = (
            sa.select(grants, connections.c.status.label("connection_status"))
            .join(connections, connections.c.grant_id == grants.c.id)
            .where(connections.c.tenant_id == tenant_id)
        )
        return await self._first(query)

    async def read(self, grant_id: str) -> Grant | None:
        query = sa.select(grants, sa.literal(CONNECTED).label("connection_status")).where(grants.c.id == grant_id)
        return await self._first(query)

    async def _first(self, query: sa.Select[Any]) -> Grant | None:
        async with self._database.reading() as work:
            row = (await work.connection.execute(query)).mappings().first()
        if row is None:
            return None
        lost = row["status"] != ACTIVE or row["connection_status"] != CONNECTED
        held = self._timing.holds(row["not_before"], work.now, row["failures"])
        return Grant(
            id=row["id"],
            generation=row["generation"],
            lost=lost,
            access_token=SecretStr("") if lost else self._access_token(row),
            refreshed_at=row["refreshed_at"],
            expires_at=row["expires_at"],
            not_before=row["not_before"] if held else None,
            claimed_until=row["claim_until"],
            refusals=row["refusals"],
            read_at=work.now,
        )

    def _access_token(self, row: Mapping[Any, Any]) -> SecretStr:
        return self._ring.open(row["access_token"], context("access", row["id"], row["generation"]))

    async def claim(self, seen: Grant, owner: str, life_seconds: float) -> Claim | None:
        """A lapsed claim that is taken over leaves a trace: its request may have been made."""
        async with self._database.transaction() as work:
            longest = work.now + timedelta(seconds=life_seconds)
            await work.connection.execute(
                sa.update(grants)
                .where(grants.c.id == seen.id, grants.c.claim_until > longest)
                .values(claim_until=longest)
            )
            statement = (
                sa.update(grants)
                .where(
                    grants.c.id == seen.id,
                    grants.c.generation == seen.generation,
                    grants.c.status == ACTIVE,
                    sa.or_(grants.c.claim.is_(None), grants.c.claim_until < work.now),
                    self._may_be_tried(work.now),
                )
                .values(
                    claim=owner,
                    claimed_at=work.now,
                    claim_until=longest,
                    unknown_since=_UNKNOWN_SINCE,
                )
                .returning(grants.c.refresh_token, grants.c.failures, grants.c.refusals, grants.c.unknown_since)
            )
            row = (await work.connection.execute(statement)).mappings().first()
            if row is None:
                return None
            # Inside, so that a token that does not open leaves no claim behind, as if a request had been made.
            refresh_token = self._ring.open(row["refresh_token"], context("refresh", seen.id, seen.generation))
        since = row["unknown_since"]
        unknown = None if since is None else (work.now - since).total_seconds()
        return Claim(
            grant_id=seen.id,
            generation=seen.generation,
            owner=owner,
            claimed_at=work.now,
            refresh_token=refresh_token,
            failures=row["failures"],
            refusals=row["refusals"],
            unknown_seconds=unknown,
        )

    async def renew(self, claim: Claim, pair: TokenPair, *, rest_seconds: float) -> bool:
        async with self._database.transaction() as work:
            values = sealed_pair(self._ring, claim.grant_id, claim.generation + 1, pair, claim.refresh_token)
            values |= lifetime(claim.claimed_at, pair)
            values |= {"failures": 0, "refusals": 0, "unknown_since": None}
            values |= {"not_before": work.now + timedelta(seconds=rest_seconds)}
            return await _change(work, claim, values)

    async def put_off(self, claim: Claim, seconds: float, *, failures: int, refusals: int) -> None:
        async with self._database.transaction() as work:
            not_before = work.now + timedelta(seconds=seconds)
            await _change(work, claim, {"not_before": not_before, "failures": failures, "refusals": refusals})

    async def lose(self, claim: Claim, reason: str) -> bool:
        async with self._database.transaction() as work:
            forgotten = {"status": RECONNECT_NEEDED, "access_token": "", "refresh_token": "", "unknown_since": None}
            if not await _change(work, claim, forgotten):
                return False
            await lose_connections(work, reason, connections.c.grant_id == claim.grant_id)
            return True

    async def unsettled(self, limit: int) -> Sequence[str]:
        """Each when it may be tried again."""
        half_known = sa.or_(grants.c.unknown_since.is_not(None), grants.c.refusals > 0)
        async with self._database.reading() as work:
            return await self._ids(
                work,
                limit,
                sa.or_(
                    grants.c.claim_until < work.now,
                    grants.c.claim_until > work.now + timedelta(seconds=self._timing.claim_seconds),
                    sa.and_(grants.c.claim.is_(None), half_known),
                ),
                self._may_be_tried(work.now),
            )

    def _may_be_tried(self, now: datetime) -> sa.ColumnElement[bool]:
        """As :meth:`RefreshTiming.holds` decides."""
        rested, failed = (now + timedelta(seconds=self._timing.longest_hold(failures)) for failures in (0, 1))
        put_off_to, failures = grants.c.not_before, grants.c.failures
        beyond = sa.or_(put_off_to > failed, sa.and_(put_off_to > rested, failures == 0))
        return sa.or_(put_off_to.is_(None), put_off_to <= now, beyond)

    async def unlooked(self, limit: int) -> Sequence[str]:
        async with self._database.reading() as work:
            return await self._ids(work, limit, self._to_be_looked_at(work.now))

    def _to_be_looked_at(self, now: datetime) -> sa.ColumnElement[bool]:
        """A look further away than the longest time between two was set while the clock was ahead."""
        furthest = now + timedelta(seconds=self._timing.look_seconds)
        return sa.or_(grants.c.look_at.is_(None), grants.c.look_at <= now, grants.c.look_at > furthest)

    async def _ids(self, work: Transaction, limit: int, *conditions: sa.ColumnElement[bool]) -> Sequence[str]:
        query = sa.select(grants.c.id).where(grants.c.status == ACTIVE, *conditions).limit(limit)
        return (await work.connection.execute(query)).scalars().all()

    async def begin_look(self, grant_id: str, lease_seconds: float) -> bool:
        async with self._database.transaction() as work:
            result = await work.connection.execute(
                sa.update(grants)
                .where(grants.c.id == grant_id, self._to_be_looked_at(work.now))
                .values(look_at=work.now + timedelta(seconds=lease_seconds))
            )
            return result.rowcount == 1

    async def look_in(self, grant_id: str, seconds: float) -> None:
        async with self._database.transaction() as work:
            await work.connection.execute(
                sa.update(grants).where(grants.c.id == grant_id).values(look_at=work.now + timedelta(seconds=seconds))
            )


_UNKNOWN_SINCE = sa.case(
    (grants.c.claim.is_not(None), sa.func.coalesce(grants.c.unknown_since, grants.c.claimed_at, grants.c.claim_until)),
    else_=grants.c.unknown_since,
)
"""In an UPDATE these are the values before it: a claim that still stands was not given back."""


async def lose_connections(work: Transaction, reason: str, *which: sa.ColumnElement[bool]) -> int:
    """Mark connected organisations as lost, to be announced; how many there were."""
    result = await work.connection.execute(
        sa.update(connections)
        .where(connections.c.status == CONNECTED, *which)
        .values(status=LOST, reason=reason, **untold_change(work))
    )
    return result.rowcount


def untold_change(work: Transaction) -> dict[str, Any]:
    """The columns of a connection whose change is now to be told."""
    return {
        "changed_at": work.now,
        "revision": connections.c.revision + 1,
        "announced_at": None,
        "correlation_id": correlation_id(),
    }


def context(purpose: str, grant_id: str, generation: int) -> str:
    """What a ciphertext is bound to: a token of another grant, generation or purpose does not open."""
    return f"{purpose}\n{generation}\n{grant_id}"


def sealed_pair(
    ring: KeyRing, grant_id: str, generation: int, pair: TokenPair, kept: SecretStr | None = None
) -> dict[str, Any]:
    """The columns of a new generation; ``kept`` is the refresh token that stays when Xero gave no new one."""
    refresh_token = pair.refresh_token or kept
    if refresh_token is None:
        raise ValueError("a grant without a refresh token cannot be stored")
    return {
        "generation": generation,
        "access_token": ring.seal(pair.access_token, context("access", grant_id, generation)),
        "refresh_token": ring.seal(refresh_token, context("refresh", grant_id, generation)),
    }


def lifetime(asked_at: datetime, pair: TokenPair) -> dict[str, Any]:
    return {"refreshed_at": asked_at, "expires_at": asked_at + timedelta(seconds=pair.lifetime_seconds)}


NO_CLAIM = {"claim": None, "claimed_at": None, "claim_until": None}


async def _change(work: Transaction, claim: Claim, values: dict[str, Any]) -> bool:
    """Write and release at once, if the generation did not move and the claim is still ours."""
    result = await work.connection.execute(
        sa.update(grants)
        .where(grants.c.id == claim.grant_id, grants.c.generation == claim.generation, grants.c.claim == claim.owner)
        .values(**NO_CLAIM, **values)
    )
    return result.rowcount == 1
