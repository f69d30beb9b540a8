"""Looks after grants that nobody asks for: settles what a dead replica left behind, and keeps idle grants alive."""

from collections.abc import Awaitable, Callable, Sequence

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

    async def settle(self) -> None:
        """Repeat the refreshes whose end is unknown, or give their grants up and say so."""
        await self._round(self._grants.unsettled, self._settle)

    async def look(self) -> None:
        """Refresh the grants whose day is over, and compare them with Xero's list."""
        await self._round(self._grants.unlooked, self._look)

    async def _round(
        self, due: Callable[[int], Awaitable[Sequence[str]]], work: Callable[[str], Awaitable[None]]
    ) -> None:
        try:
            await for_each(await due(_ROUND), work, _AT_ONCE)
        except DuebellError as error:
            self._figures.look_failed("", error.reason)

    async def _settle(self, grant_id: str) -> None:
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
