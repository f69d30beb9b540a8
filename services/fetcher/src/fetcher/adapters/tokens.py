"""Access tokens, kept in memory until shortly before they expire."""

from datetime import datetime, timedelta
from typing import Protocol

from pydantic import SecretStr

from fetcher.ports import Clock
from shared.clients.token_broker import fingerprint
from shared.contracts.tokens import TokenGranted, TokenRefusal, TokenRefused
from shared.errors import PermanentError, PersonNeededError, RetryableError

MARGIN = timedelta(minutes=2)
"""More than a call may wait for its permit and take."""


class AsksForTokens(Protocol):
    async def access(
        self, tenant_id: str, refused: str | None = None, forbidden: bool = False, timeout: float = 10.0
    ) -> TokenGranted | TokenRefused: ...


class AccessTokens:
    def __init__(self, broker: AsksForTokens, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._kept: dict[str, TokenGranted] = {}

    async def access(self, tenant_id: str) -> SecretStr:
        """A token that lives long enough for a call.

        Raises:
            PermanentError: ``unknown_tenant``.
            PersonNeededError: ``reconnect_needed``.
            RetryableError: ``token_unavailable`` or ``token_broker_silent``.
        """
        kept = self._kept.get(tenant_id)
        if kept is not None and kept.expires_at - MARGIN > self._clock():
            return kept.access_token
        return await self._ask(tenant_id, None)

    async def replace(self, tenant_id: str, refused: SecretStr) -> SecretStr:
        """Another token than the one that Xero refused. Raises as :meth:`access` does."""
        kept = self._kept.get(tenant_id)
        if kept is not None and kept.access_token != refused:
            return await self.access(tenant_id)
        return await self._ask(tenant_id, fingerprint(refused))

    def forget(self, tenant_id: str) -> None:
        """The next token is asked for anew."""
        self._kept.pop(tenant_id, None)

    async def check_connected(self, tenant_id: str) -> None:
        """Return when a tenant that Xero answered 403 to is connected all the same.

        Raises as :meth:`access` does.
        """
        self.forget(tenant_id)
        await self._ask(tenant_id, None, forbidden=True)

    async def _ask(self, tenant_id: str, refused: str | None, *, forbidden: bool = False) -> SecretStr:
        self._forget_expired(self._clock())
        answer = await self._broker.access(tenant_id, refused=refused, forbidden=forbidden)
        if isinstance(answer, TokenRefused):
            self._kept.pop(tenant_id, None)
            raise _refusal(answer)
        self._kept[tenant_id] = answer
        return answer.access_token

    def _forget_expired(self, now: datetime) -> None:
        self._kept = {tenant_id: kept for tenant_id, kept in self._kept.items() if kept.expires_at > now}


def _refusal(answer: TokenRefused) -> Exception:
    match answer.reason:
        case TokenRefusal.UNKNOWN_TENANT:
            return PermanentError("unknown_tenant")
        case TokenRefusal.RECONNECT_NEEDED:
            return PersonNeededError("reconnect_needed")
        case TokenRefusal.TRY_LATER:
            return RetryableError("token_unavailable", retry_after=answer.retry_after, counts=False)
