"""Connections in SQL: which tenants can be read, and which changes have not been told yet."""

from collections.abc import Sequence

import sqlalchemy as sa

from shared.contracts.tokens import Connection
from token_broker.adapters.grant_store import lose_connections, untold_change
from token_broker.adapters.transactions import Database
from token_broker.consent_ports import Announcement
from token_broker.ports import Held
from token_broker.tables import CONNECTED, LOST, connections


class SqlConnections:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def connected(self) -> Sequence[Connection]:
        query = (
            sa.select(connections.c.tenant_id, connections.c.tenant_name, connections.c.connected_at)
            .where(connections.c.status == CONNECTED)
            .order_by(connections.c.tenant_id)
        )
        async with self._database.reading() as work:
            rows = (await work.connection.execute(query)).mappings().all()
        return [Connection.model_validate(dict(row)) for row in rows]

    async def held_by(self, grant_id: str) -> Sequence[Held]:
        query = sa.select(connections).where(connections.c.grant_id == grant_id).order_by(connections.c.tenant_id)
        async with self._database.reading() as work:
            rows = (await work.connection.execute(query)).mappings().all()
        return [
            Held(
                tenant_id=row["tenant_id"],
                tenant_name=row["tenant_name"],
                grant_id=row["grant_id"],
                revision=row["revision"],
                changed_at=row["changed_at"],
                connected=row["status"] == CONNECTED,
                reason=row["reason"],
            )
            for row in rows
        ]

    async def lose(self, held: Held, reason: str) -> bool:
        async with self._database.transaction() as work:
            return await lose_connections(work, reason, *_unchanged(held)) == 1

    async def restore(self, held: Held) -> bool:
        async with self._database.transaction() as work:
            result = await work.connection.execute(
                sa.update(connections)
                .where(connections.c.status == LOST, *_unchanged(held))
                .values(status=CONNECTED, reason="", connected_at=work.now, **untold_change(work))
            )
            return result.rowcount == 1

    async def rename(self, held: Held, name: str) -> None:
        async with self._database.transaction() as work:
            await work.connection.execute(sa.update(connections).where(*_unchanged(held)).values(tenant_name=name))

    async def due(self, limit: int) -> Sequence[Announcement]:
        query = (
            sa.select(connections)
            .where(connections.c.announced_at.is_(None))
            .order_by(connections.c.changed_at, connections.c.tenant_id)
            .limit(limit)
        )
        async with self._database.reading() as work:
            rows = (await work.connection.execute(query)).mappings().all()
        return [
            Announcement(
                tenant_id=row["tenant_id"],
                tenant_name=row["tenant_name"],
                revision=row["revision"],
                lost=row["status"] == LOST,
                reason=row["reason"],
                changed_at=row["changed_at"],
                connected_at=row["connected_at"],
                correlation_id=row["correlation_id"],
            )
            for row in rows
        ]

    async def told(self, announcement: Announcement) -> None:
        """A change that came meanwhile has a later revision, and stays due."""
        async with self._database.transaction() as work:
            await work.connection.execute(
                sa.update(connections)
                .where(
                    connections.c.tenant_id == announcement.tenant_id, connections.c.revision == announcement.revision
                )
                .values(announced_at=work.now)
            )


def _unchanged(held: Held) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        connections.c.tenant_id == held.tenant_id,
        connections.c.grant_id == held.grant_id,
        connections.c.revision == held.revision,
    )
