"""Puts the operator's commands together, for the composition root."""

from collections.abc import Awaitable, Callable

from token_broker.adapters.overview_store import SqlOverview
from token_broker.adapters.sealed_store import SqlSealedGrants
from token_broker.admin.disconnect import Disconnect
from token_broker.admin.http import Commands
from token_broker.admin.revoke import EndGrant, Revoke
from token_broker.refresh import Refresher
from token_broker.reseal import Reseal
from token_broker.timing import Pacing
from token_broker.wiring import Adapters


def admin_commands(
    adapters: Adapters,
    refresher: Refresher,
    announce: Callable[[], Awaitable[None]],
    pacing: Pacing,
    new_owner: Callable[[], str],
) -> Commands:
    grants, connections, identity, figures = adapters.grants, adapters.connections, adapters.identity, adapters.figures
    end_grant = EndGrant(grants, connections, identity, figures, announce, pacing=pacing, new_owner=new_owner)
    return Commands(
        overview=SqlOverview(adapters.database),
        disconnect=Disconnect(grants, connections, identity, refresher, end_grant, figures, announce, pacing),
        revoke=Revoke(grants, end_grant),
        reseal=Reseal(SqlSealedGrants(adapters.database, adapters.ring)),
        first_key=adapters.ring.first,
    )
