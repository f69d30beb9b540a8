"""Answers a request for an access token: from the record when it is fresh, else after one refresh for all who ask."""

from collections.abc import Callable
from enum import Enum

from pydantic import SecretStr

from shared.contracts.tokens import TokenAccessRequest, TokenGranted, TokenRefusal, TokenRefused
from shared.errors import DuebellError, RetryableError
from token_broker.ahead import RefreshAhead
from token_broker.flights import Flights, outcome_within
from token_broker.ports import Figures, Grant, Grants
from token_broker.reconcile import Reconcile
from token_broker.refresh import Refresher
from token_broker.timing import Pacing, RefreshTiming

_ASK_AGAIN_SECONDS = 2.0
_AFTER_A_FAULT_SECONDS = 5.0
_AFTER_OUR_FAULT_SECONDS = 300.0
"""A record that cannot be opened stays so until a person has put the key ring right."""


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
    if timing.ahead_of(grant.read_at, grant.refreshed_at):
        left = 0.0
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
        reconcile: Reconcile,
        ahead: RefreshAhead,
        figures: Figures,
        *,
        pacing: Pacing,
        fingerprint: Callable[[SecretStr], str],
    ) -> None:
        self._grants = grants
        self._refresher = refresher
        self._reconcile = reconcile
        self._ahead = ahead
        self._figures = figures
        self._timing = pacing.timing
        self._monotonic = pacing.monotonic
        self._fingerprint = fingerprint
        self._looks: Flights[Grant | None] = Flights()

    async def __call__(self, request: TokenAccessRequest) -> TokenGranted | TokenRefused:
        try:
            answer, grant = await self._answer(request)
        except DuebellError as error:
            answer, grant = _out_of_order(error), None
            self._figures.look_failed(request.tenant_id, error.reason)
        outcome = "granted" if isinstance(answer, TokenGranted) else answer.reason
        self._figures.answered(request.tenant_id, outcome, grant)
        return answer

    async def _answer(self, request: TokenAccessRequest) -> tuple[TokenGranted | TokenRefused, Grant | None]:
        until = self._monotonic() + self._timing.patience_seconds
        wondering = request.forbidden
        grant = await self._look(request.tenant_id, self._timing.patience_seconds)
        while grant is not None:
            match verdict(grant, self._fingerprint(grant.access_token) == request.refused, self._timing):
                case Verdict.GIVE if wondering:
                    if not await self._reconcile.recently(grant, until - self._monotonic()):
                        return _later(grant), grant
                    wondering = False
                    grant = await self._grants.of_tenant(request.tenant_id)
                    continue
                case Verdict.GIVE:
                    self._ahead.note(grant)
                    return TokenGranted(access_token=grant.access_token, expires_at=grant.expires_at), grant
                case Verdict.RECONNECT:
                    return TokenRefused(reason=TokenRefusal.RECONNECT_NEEDED), grant
                case Verdict.LATER:
                    return _later(grant), grant
            newer = await self._refresher.newer_than(grant, until - self._monotonic())
            if newer is None:
                return _later(grant), grant
            grant = newer
        return TokenRefused(reason=TokenRefusal.UNKNOWN_TENANT), None

    async def _look(self, tenant_id: str, patience_seconds: float) -> Grant | None:
        """Callers of one tenant share a look at the record; what it shows is at most as old as the look itself."""
        look = self._looks.join(tenant_id, lambda: self._grants.of_tenant(tenant_id))
        if not await outcome_within(look, patience_seconds):
            raise RetryableError("database_unavailable", "silent")
        return look.result()


def _later(grant: Grant) -> TokenRefused:
    return TokenRefused(reason=TokenRefusal.TRY_LATER, retry_after=seconds_to_wait(grant))


def _out_of_order(error: DuebellError) -> TokenRefused:
    asked = error.retry_after if isinstance(error, RetryableError) else _AFTER_OUR_FAULT_SECONDS
    return TokenRefused(reason=TokenRefusal.TRY_LATER, retry_after=asked or _AFTER_A_FAULT_SECONDS)
