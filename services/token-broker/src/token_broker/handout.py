"""Answers a request for an access token: from the record when it is fresh, else after one refresh for all who ask."""

import asyncio
from collections.abc import Callable
from enum import Enum

from pydantic import SecretStr

from shared.contracts.tokens import TokenAccessRequest, TokenGranted, TokenRefusal, TokenRefused
from token_broker.flights import Flights
from token_broker.ports import Figures, Grant, Grants
from token_broker.refresh import Refresher
from token_broker.timing import Pacing, RefreshTiming

_ASK_AGAIN_SECONDS = 2.0


class Verdict(Enum):
    GIVE = "give"
    RECONNECT = "reconnect"
    LATER = "later"
    REFRESH = "refresh"


def verdict(grant: Grant, refused: bool, timing: RefreshTiming) -> Verdict:
    """What to do with a request, given the record; ``refused`` is whether Xero refused exactly this token."""
    if grant.lost:
        return Verdict.RECONNECT
    left = (grant.expires_at - grant.read_at).total_seconds()
    lifetime = (grant.expires_at - grant.refreshed_at).total_seconds()
    if left >= timing.freshness(lifetime) and left > 0 and not refused:
        return Verdict.GIVE
    if grant.not_before is not None and grant.not_before > grant.read_at and not grant.refusals:
        return Verdict.LATER
    return Verdict.REFRESH


def seconds_to_wait(grant: Grant) -> float:
    """When asking again makes sense."""
    if grant.not_before is None:
        return _ASK_AGAIN_SECONDS
    return max((grant.not_before - grant.read_at).total_seconds(), _ASK_AGAIN_SECONDS)


class HandOut:
    """The use case behind ``token.access``. A caller may leave at any moment; a refresh that it caused goes on."""

    def __init__(
        self,
        grants: Grants,
        refresher: Refresher,
        figures: Figures,
        *,
        pacing: Pacing,
        fingerprint: Callable[[SecretStr], str],
    ) -> None:
        self._grants = grants
        self._refresher = refresher
        self._figures = figures
        self._timing = pacing.timing
        self._monotonic = pacing.monotonic
        self._fingerprint = fingerprint
        self._looks: Flights[Grant | None] = Flights()

    async def __call__(self, request: TokenAccessRequest) -> TokenGranted | TokenRefused:
        answer = await self._answer(request)
        self._figures.answered("granted" if isinstance(answer, TokenGranted) else answer.reason)
        return answer

    async def _answer(self, request: TokenAccessRequest) -> TokenGranted | TokenRefused:
        until = self._monotonic() + self._timing.patience_seconds
        grant = await self._look(request.tenant_id)
        while grant is not None:
            match verdict(grant, self._fingerprint(grant.access_token) == request.refused, self._timing):
                case Verdict.GIVE:
                    return TokenGranted(access_token=grant.access_token, expires_at=grant.expires_at)
                case Verdict.RECONNECT:
                    return TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED)
                case Verdict.LATER:
                    return _later(grant)
            newer = await self._refresher.newer_than(grant, until - self._monotonic())
            if newer is None:
                return _later(grant)
            grant = newer
        return TokenRefused(reason=TokenRefusal.UNKNOWN_TENANT)

    async def _look(self, tenant_id: str) -> Grant | None:
        """Callers of one tenant share a look at the record; what it shows is at most as old as the look itself."""
        return await asyncio.shield(self._looks.join(tenant_id, lambda: self._grants.of_tenant(tenant_id)))


def _later(grant: Grant) -> TokenRefused:
    return TokenRefused(reason=TokenRefusal.TRY_LATER, retry_after=seconds_to_wait(grant))
