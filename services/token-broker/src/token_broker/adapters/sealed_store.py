"""The grants' ciphertexts in SQL, for sealing them anew: a change is compared with the very texts it was made from."""

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from token_broker.adapters.grant_store import context
from token_broker.adapters.transactions import Database, Transaction
from token_broker.keyring import KeyRing, shown_key_id
from token_broker.reseal import SealedGrant, Tally
from token_broker.tables import grants

_SEALED = (grants.c.access_token, grants.c.refresh_token)


class SqlSealedGrants:
    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    async def stale(self, after: str, limit: int) -> Sequence[SealedGrant]:
        query = sa.select(grants.c.id, grants.c.generation, *_SEALED).order_by(grants.c.id).limit(limit)
        async with self._database.reading() as work:
            rows = await work.connection.execute(query.where(grants.c.id > after, self._is_stale(work)))
            return [SealedGrant(*row) for row in rows]

    async def reseal(self, seen: SealedGrant) -> bool:
        fresh = {
            "access_token": self._anew(seen.access_token, context("access", seen.id, seen.generation)),
            "refresh_token": self._anew(seen.refresh_token, context("refresh", seen.id, seen.generation)),
        }
        async with self._database.transaction() as work:
            changed = await work.connection.execute(
                sa.update(grants)
                .where(
                    grants.c.id == seen.id,
                    grants.c.generation == seen.generation,
                    grants.c.access_token == seen.access_token,
                    grants.c.refresh_token == seen.refresh_token,
                )
                .values(fresh)
            )
        return changed.rowcount == 1

    async def tally(self) -> Tally:
        by_key: Counter[str] = Counter()
        async with self._database.reading() as work:
            for column in _SEALED:
                key = _key_id(work, column).label("key")
                query = sa.select(key, sa.func.count()).where(column != "").group_by(key)
                for name, count in await work.connection.execute(query):
                    by_key[shown_key_id(name)] += count
            stale = sa.select(sa.func.count()).select_from(grants).where(self._is_stale(work))
            return Tally(dict(by_key), (await work.connection.execute(stale)).scalar_one())

    def _anew(self, sealed: str, place: str) -> str:
        return self._ring.seal(self._ring.open(sealed, place), place) if sealed else sealed

    def _is_stale(self, work: Transaction) -> sa.ColumnElement[bool]:
        return sa.or_(*(sa.and_(column != "", _key_id(work, column) != self._ring.first) for column in _SEALED))


def _key_id(work: Transaction, column: sa.Column[str]) -> sa.ColumnElement[str]:
    """As ``keyring.key_id`` reads it; compared exactly, where SQLite's LIKE would take ``K1`` for ``k1``."""
    position = sa.func.strpos if work.connection.dialect.name == "postgresql" else sa.func.instr
    return sa.func.substr(column, 1, position(column.concat("."), ".") - 1, type_=sa.String)
