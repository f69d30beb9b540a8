"""Organisations and their grants in SQL, as an operator is shown them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from token_broker.adapters.transactions import Database, Transaction
from token_broker.admin.overview import GrantState, Shown, refresh_of, short
from token_broker.keyring import key_id, shown_key_id
from token_broker.tables import ACTIVE, CONNECTED, connections, grants


class SqlOverview:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self) -> Sequence[Shown]:
        query = (
            sa.select(
                connections,
                grants.c.status.label("grant_status"),
                *(grants.c[name] for name in ("refreshed_at", "expires_at", "claim_until", "unknown_since")),
                *(grants.c[name] for name in ("not_before", "failures", "refusals", "refresh_token")),
            )
            .join(grants, connections.c.grant_id == grants.c.id)
            .order_by(connections.c.tenant_name, connections.c.tenant_id)
        )
        async with self._database.reading() as work:
            rows = (await work.connection.execute(query)).mappings().all()
            return [_shown(row, work) for row in rows]


def _shown(row: sa.RowMapping, work: Transaction) -> Shown:
    connected = row["status"] == CONNECTED
    grant = _of_grant(row, work) if row["grant_status"] == ACTIVE else _OF_NONE
    return Shown(
        tenant_id=row["tenant_id"],
        tenant_name=row["tenant_name"],
        status=row["status"],
        reason=row["reason"],
        since=row["connected_at"] if connected else row["changed_at"],
        grant=short(row["grant_id"]),
        **grant,
    )


_OF_NONE: dict[str, Any] = {"refreshed_at": None, "expires_at": None, "refresh": None, "key": ""}


def _of_grant(row: sa.RowMapping, work: Transaction) -> dict[str, Any]:
    state = GrantState(
        row["claim_until"], row["unknown_since"], row["not_before"], row["failures"], row["refusals"], work.now
    )
    return {
        "refreshed_at": row["refreshed_at"],
        "expires_at": row["expires_at"],
        "refresh": refresh_of(state),
        "key": shown_key_id(key_id(row["refresh_token"])),
    }
