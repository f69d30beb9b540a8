"""Looks after grants that nobody asks for: settles what a dead replica left behind, and keeps idle grants alive."""

from shared.errors import DuebellError
from token_broker.flights import for_each
from token_broker.fresh import with_fresh_token
from token_broker.ports import Figures, Grants
from token_broker.reconcile import Reconcile
from token_broker.refresh import Refresher
from token_broker.timing import Pacing

_ROUND = 200
_AT_ONCE = 16
_LEASE_SECONDS = 300.0
"""A look that fails, or whose replica dies, is taken up again after this."""


class Keeper:
    """Every replica runs one; the record decides which of them does a piece of work."""

    def __init__(
        self, grants: Grants, refresher: Refresher, reconcile: Reconcile, figures: Figures, pacing: Pacing
    ) -> None:
        self._grants = grants
        self._refresher = refresher
        self._reconcile = reconcile
        self._figures = figures
        self._pacing = pacing

    async def __call__(self) -> None:
        """One round."""
        try:
            unsettled = await self._grants.unsettled(_ROUND)
            await for_each(unsettled, self._settle, _AT_ONCE)
            unlooked = await self._grants.unlooked(_ROUND)
            await for_each(unlooked, self._look, _AT_ONCE)
        except DuebellError as error:
            self._figures.look_failed("", error.reason)

    async def _settle(self, grant_id: str) -> None:
        """A claim that lapsed: the refresh is repeated, or the grant given up and said to be lost."""
        try:
            grant = await self._grants.read(grant_id)
            if grant is not None:
                await self._refresher.newer_than(grant, self._pacing.timing.patience_seconds)
        except DuebellError as error:
            self._figures.look_failed(grant_id, error.reason)

    async def _look(self, grant_id: str) -> None:
        try:
            if not await self._grants.begin_look(grant_id, _LEASE_SECONDS):
                return
            grant = await with_fresh_token(grant_id, self._grants, self._refresher, self._pacing.timing)
            if grant is None:
                return
            await self._reconcile(grant)
            await self._grants.look_in(grant_id, self._pacing.timing.next_look(self._pacing.chance()))
        except DuebellError as error:
            self._figures.look_failed(grant_id, error.reason)
