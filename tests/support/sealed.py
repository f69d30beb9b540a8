"""A table of sealed grants, in which what each token should be can be told from where it is."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.runtime.clock import utc_now
from shared.runtime.database import create_engine, migrate
from token_broker.adapters.grant_store import SqlGrants, context
from token_broker.adapters.transactions import Database
from token_broker.keyring import KeyRing, SealBroken
from token_broker.ports import TokenPair
from token_broker.tables import ACTIVE, grants
from token_broker.timing import RefreshTiming

KEYS = {"new": os.urandom(32), "old": os.urandom(32)}
BOTH, OLD, NEW = KeyRing(KEYS), KeyRing({"old": KEYS["old"]}), KeyRing({"new": KEYS["new"]})
OLD_FIRST = KeyRing({"old": KEYS["old"], "new": KEYS["new"]})
LATER = datetime.now(UTC) + timedelta(days=1)


def name_of(number: int) -> str:
    return f"grant-{number:04}"


def secret(purpose: str, grant_id: str, generation: int) -> SecretStr:
    """The token of a place: what it should be can be told from where it is."""
    return SecretStr(f"{purpose} token of {grant_id} {generation}")


def pair(grant_id: str, generation: int) -> TokenPair:
    access, refresh = (secret(purpose, grant_id, generation) for purpose in ("access", "refresh"))
    return TokenPair(access, refresh, lifetime_seconds=1800)


def sealed(ring: KeyRing, grant_id: str, generation: int) -> dict[str, str]:
    return {
        f"{purpose}_token": ring.seal(secret(purpose, grant_id, generation), context(purpose, grant_id, generation))
        for purpose in ("access", "refresh")
    }


@dataclass(frozen=True)
class Store:
    """One process's view of the database, and the rows themselves."""

    engine: AsyncEngine

    @property
    def database(self) -> Database:
        return Database(self.engine, utc_now)

    def grants(self, ring: KeyRing = BOTH) -> SqlGrants:
        return SqlGrants(self.database, ring, RefreshTiming())

    async def fill(self, count: int, ring: KeyRing, generation: int = 1) -> None:
        rows = [
            {
                "id": name_of(number),
                "generation": generation,
                "status": ACTIVE,
                "refreshed_at": utc_now(),
                "expires_at": LATER,
                "failures": 0,
                "refusals": 0,
                **sealed(ring, name_of(number), generation),
            }
            for number in range(count)
        ]
        async with self.engine.begin() as connection:
            await connection.execute(sa.insert(grants), rows)

    async def rows(self) -> dict[str, Any]:
        async with self.engine.begin() as connection:
            return {row["id"]: row for row in (await connection.execute(sa.select(grants))).mappings()}

    async def put(self, grant_id: str, **values: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(sa.update(grants).where(grants.c.id == grant_id).values(**values))

    async def access_token(self, grant_id: str, ring: KeyRing = BOTH) -> SecretStr:
        grant = await self.grants(ring).read(grant_id)
        assert grant is not None
        return grant.access_token

    async def refresh_token(self, grant_id: str, ring: KeyRing = BOTH) -> SecretStr:
        grant = await self.grants(ring).read(grant_id)
        assert grant is not None
        claim = await self.grants(ring).claim(grant, "owner", 60)
        assert claim is not None
        return claim.refresh_token

    async def renew(self, grant_id: str, ring: KeyRing) -> bool:
        """A refresh from its beginning to its end."""
        grant = await self.grants(ring).read(grant_id)
        assert grant is not None
        claim = await self.grants(ring).claim(grant, f"owner of {grant_id}", 60)
        assert claim is not None
        fresh = pair(grant_id, grant.generation + 1)
        return await self.grants(ring).renew(claim, fresh, rest_seconds=0)

    async def opened_by(self, ring: KeyRing) -> int:
        """How many stored ciphertexts a ring opens."""
        count = 0
        for row in (await self.rows()).values():
            for purpose in ("access", "refresh"):
                try:
                    found = ring.open(row[f"{purpose}_token"], context(purpose, row["id"], row["generation"]))
                except SealBroken:
                    continue
                assert found == secret(purpose, row["id"], row["generation"])
                count += 1
        return count


@asynccontextmanager
async def migrated(url: str) -> AsyncIterator[Store]:
    """An empty database with the token-broker's tables."""
    async with opened(url) as found:
        await migrate(found.engine, "token_broker")
        yield found


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    engine = create_engine(url)
    try:
        yield Store(engine)
    finally:
        await engine.dispose()
