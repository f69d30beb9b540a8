"""Grants in SQL: every change is compared with the generation and the claim that it was decided on."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from shared.errors import ConfigurationError
from shared.telemetry.correlation import correlation_id
from token_broker.adapters.transactions import Database, Transaction
from token_broker.keyring import KeyRing, key_id
from token_broker.ports import Claim, Grant, TokenPair
from token_broker.tables import ACTIVE, CONNECTED, LOST, RECONNECT_NEEDED, connections, grants


class SqlGrants:
    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    async def check_keys(self) -> None:
        """Raises:
        ConfigurationError: a stored grant was sealed with a key that is not in the ring.
        """
        async with self._database.transaction() as work:
            sealed = (await work.connection.execute(sa.select(grants.c.refresh_token))).scalars()
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
        async with self._database.transaction() as work:
            row = (await work.connection.execute(query)).mappings().first()
        if row is None:
            return None
        return Grant(
            id=row["id"],
            generation=row["generation"],
            lost=row["status"] != ACTIVE or row["connection_status"] != CONNECTED,
            access_token=self._ring.open(row["access_token"], context("access", row["id"], row["generation"])),
            refreshed_at=row["refreshed_at"],
            expires_at=row["expires_at"],
            not_before=row["not_before"],
            claimed_until=row["claim_until"],
            refusals=row["refusals"],
            read_at=work.now,
        )

    async def claim(self, seen: Grant, owner: str, life_seconds: float) -> Claim | None:
        async with self._database.transaction() as work:
            row = (
                (
                    await work.connection.execute(
                        sa.update(grants)
                        .where(
                            grants.c.id == seen.id,
                            grants.c.generation == seen.generation,
                            grants.c.status == ACTIVE,
                            sa.or_(grants.c.claim.is_(None), grants.c.claim_until < work.now),
                            sa.or_(grants.c.not_before.is_(None), grants.c.not_before <= work.now),
                        )
                        .values(claim=owner, claim_until=work.now + timedelta(seconds=life_seconds))
                        .returning(grants.c.refresh_token, grants.c.failures, grants.c.refusals)
                    )
                )
                .mappings()
                .first()
            )
        if row is None:
            return None
        refresh_token = self._ring.open(row["refresh_token"], context("refresh", seen.id, seen.generation))
        return Claim(seen.id, seen.generation, owner, refresh_token, row["failures"], row["refusals"])

    async def renew(self, claim: Claim, pair: TokenPair, *, age_seconds: float, rest_seconds: float) -> bool:
        async with self._database.transaction() as work:
            values = sealed_pair(self._ring, claim.grant_id, claim.generation + 1, pair, claim.refresh_token)
            values |= lifetime(work, pair, age_seconds)
            values |= {"failures": 0, "refusals": 0, "not_before": work.now + timedelta(seconds=rest_seconds)}
            return await _change(work, claim, values)

    async def put_off(self, claim: Claim, seconds: float, *, failures: int, refusals: int) -> None:
        async with self._database.transaction() as work:
            not_before = work.now + timedelta(seconds=seconds)
            await _change(work, claim, {"not_before": not_before, "failures": failures, "refusals": refusals})

    async def lose(self, claim: Claim, reason: str) -> bool:
        async with self._database.transaction() as work:
            if not await _change(work, claim, {"status": RECONNECT_NEEDED}):
                return False
            await work.connection.execute(
                sa.update(connections)
                .where(connections.c.grant_id == claim.grant_id, connections.c.status == CONNECTED)
                .values(
                    status=LOST,
                    reason=reason,
                    changed_at=work.now,
                    revision=connections.c.revision + 1,
                    announced_at=None,
                    correlation_id=correlation_id(),
                )
            )
            return True


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


def lifetime(work: Transaction, pair: TokenPair, age_seconds: float) -> dict[str, Any]:
    asked_at = work.now - timedelta(seconds=age_seconds)
    return {"refreshed_at": asked_at, "expires_at": asked_at + timedelta(seconds=pair.lifetime_seconds)}


async def _change(work: Transaction, claim: Claim, values: dict[str, Any]) -> bool:
    """Write and release at once, if the generation did not move and the claim is still ours."""
    result = await work.connection.execute(
        sa.update(grants)
        .where(grants.c.id == claim.grant_id, grants.c.generation == claim.generation, grants.c.claim == claim.owner)
        .values(claim=None, claim_until=None, **values)
    )
    return result.rowcount == 1
