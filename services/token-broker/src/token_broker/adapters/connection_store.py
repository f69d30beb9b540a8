"""Connections in SQL: which tenants can be read, and which changes have not been told yet."""

from collections.abc import Sequence

import sqlalchemy as sa

from shared.contracts.tokens import Connection
from token_broker.adapters.transactions import Database
from token_broker.ports import Announcement
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
        async with self._database.transaction() as work:
            rows = (await work.connection.execute(query)).mappings().all()
        return [Connection.model_validate(dict(row)) for row in rows]

    async def due(self, limit: int) -> Sequence[Announcement]:
        query = (
            sa.select(connections)
            .where(connections.c.announced_at.is_(None))
            .order_by(connections.c.changed_at, connections.c.tenant_id)
            .limit(limit)
        )
        async with self._database.transaction() as work:
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
