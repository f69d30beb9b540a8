"""What the use cases need from outside, and the values that pass between."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from shared.contracts.tokens import Connection
from shared.errors import PermanentError, RetryableError

Clock = Callable[[], datetime]

INVALID_GRANT = "invalid_grant"
ANSWER_LOST = "answer_lost"
DISCONNECTED = "disconnected"
DISCONNECTED_HERE = "disconnected_here"
REVOKED_HERE = "revoked_here"
"""Why a connection was lost: the user withdrew the consent or it grew too old; a refresh whose end nobody knows could
not be tried again; the organisation was disconnected inside Xero; by our command; the whole grant by our command."""


class GrantRefused(PermanentError):  # noqa: N818 - states what Xero said
    """Xero answered ``invalid_grant``: the code or refresh token is not accepted."""


class IdentityUnavailable(RetryableError):  # noqa: N818 - as above
    """Xero did not act: unreachable, overloaded or refusing us. The same token can be tried again."""


class IdentitySilent(RetryableError):  # noqa: N818 - as above
    """No readable answer came in time. Xero may have acted."""


class NotSent(RetryableError):  # noqa: N818 - as above
    """The claim had become too old by the time the request could begin, so it was not made."""


@dataclass(frozen=True)
class Grant:
    """One Xero user's consent as it stood at ``read_at``, by the clock that all replicas share.

    The access token of a lost grant is empty. ``not_before`` is None also where what is stored cannot be right.
    """

    id: str
    generation: int
    lost: bool
    access_token: SecretStr
    refreshed_at: datetime
    expires_at: datetime
    not_before: datetime | None
    claimed_until: datetime | None
    refusals: int
    read_at: datetime


@dataclass(frozen=True)
class Claim:
    """The right to use one generation's refresh token; it ends by itself when its life is over.

    ``claimed_at`` is by the clock that all replicas share. ``unknown_seconds`` is how long before it a request with
    this token began whose end nobody knows; None when there is none.
    """

    grant_id: str
    generation: int
    owner: str
    claimed_at: datetime
    refresh_token: SecretStr
    failures: int
    refusals: int
    unknown_seconds: float | None = None


@dataclass(frozen=True)
class TokenPair:
    """What the token endpoint gave. ``lifetime_seconds`` counts from the request; no ``scopes``: those asked for."""

    access_token: SecretStr
    refresh_token: SecretStr | None
    lifetime_seconds: float
    id_token: SecretStr | None = None
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Organisation:
    """As Xero lists it; ``connection_id`` names the permission to reach it."""

    tenant_id: str
    name: str
    connection_id: str = ""


class Grants(Protocol):
    """The records of what Xero granted."""

    async def of_tenant(self, tenant_id: str) -> Grant | None: ...

    async def read(self, grant_id: str) -> Grant | None: ...

    async def claim(self, seen: Grant, owner: str, life_seconds: float) -> Claim | None:
        """Claim the seen generation; None when it moved, is claimed by another, is lost or must not be tried yet.

        A claim that stands for longer than ``life_seconds`` from now was made while the clock was ahead: it is given
        that long and no more, so that whoever holds it is not overtaken.
        """
        ...

    async def renew(self, claim: Claim, pair: TokenPair, *, rest_seconds: float) -> bool:
        """Store the pair as the next generation; False, and nothing stored, when the claim is no longer ours.

        The pair's life is counted from the claim, which was before the request, however long storing it takes.
        ``rest_seconds`` is how long not to try again.

        Raises:
            RetryableError: the database did not confirm; the same call may be made again.
        """
        ...

    async def put_off(self, claim: Claim, seconds: float, *, failures: int, refusals: int) -> None:
        """Give the claim back and allow no attempt for ``seconds``."""
        ...

    async def lose(self, claim: Claim, reason: str) -> bool:
        """Mark the grant and its connections as lost and forget its tokens; False when the claim is not ours."""
        ...

    async def unsettled(self, limit: int) -> Sequence[str]:
        """Ids of active grants that were left half-known: a claim lapsed, or a refusal was not confirmed."""
        ...

    async def unlooked(self, limit: int) -> Sequence[str]:
        """Ids of active grants that nobody has looked at for about a day."""
        ...

    async def begin_look(self, grant_id: str, lease_seconds: float) -> bool:
        """Take one look for this replica; another may take it when the lease is over. False when it was taken."""
        ...

    async def look_in(self, grant_id: str, seconds: float) -> None:
        """Say when the grant is looked at next."""
        ...


@dataclass(frozen=True)
class Held:
    """An organisation as our record has it; ``revision`` is which change of that tenant's this is."""

    tenant_id: str
    tenant_name: str
    grant_id: str
    revision: int
    changed_at: datetime
    connected: bool
    reason: str


class Connections(Protocol):
    async def connected(self) -> Sequence[Connection]: ...

    async def held_by(self, grant_id: str) -> Sequence[Held]: ...

    async def lose(self, held: Held, reason: str) -> bool:
        """Mark it as lost, unless it changed since it was read."""
        ...

    async def restore(self, held: Held) -> bool:
        """Mark it as connected again, unless it changed since it was read."""
        ...

    async def rename(self, held: Held, name: str) -> None: ...


class RefreshLock(Protocol):
    """The fast path that keeps replicas from asking the database all at once; never the guard."""

    def hold(self, grant_id: str) -> AbstractAsyncContextManager[bool]:
        """True while it is ours or cannot be had from anyone; False when another holds it."""
        ...


class Identity(Protocol):
    """Xero's identity service. Every call ends within its deadline, and raises one of the three errors above."""

    async def refresh(self, refresh_token: SecretStr, may_send: Callable[[], bool]) -> TokenPair:
        """``may_send`` is asked at the last moment, just before the first byte leaves.

        Raises:
            NotSent: it said no; Xero has seen nothing.
        """
        ...

    async def exchange(self, code: str) -> TokenPair: ...

    async def organisations(self, access_token: SecretStr) -> Sequence[Organisation]:
        """All that this token's user has connected."""
        ...

    async def disconnect(self, access_token: SecretStr, connection_id: str) -> None:
        """End the permission for one organisation; one that has ended already is no error."""
        ...

    async def revoke(self, refresh_token: SecretStr) -> None:
        """End the grant and all permissions of its user."""
        ...


class Figures(Protocol):
    """Where refreshes, answers and consents are counted and logged; its lines are the audit trail."""

    def refreshed(self, grant_id: str, generation: int, seconds: float, *, recovered: bool = False) -> None: ...

    def refresh_failed(self, grant_id: str, outcome: str, reason: str) -> None: ...

    def grant_lost(self, grant_id: str, reason: str) -> None: ...

    def answered(self, tenant_id: str, outcome: str, grant: Grant | None = None) -> None: ...

    def connection_changed(self, tenant_id: str, grant_id: str, change: str) -> None: ...

    def look_failed(self, grant_id: str, reason: str) -> None: ...

    def consented(self, outcome: str, organisations: int = 0) -> None: ...

    def untold(self, reason: str) -> None: ...
