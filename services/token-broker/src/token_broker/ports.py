"""What the use cases need from outside, and the values that pass between."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from shared.contracts.tokens import Connection
from shared.errors import PermanentError, RetryableError
from token_broker.links import Link

Clock = Callable[[], datetime]


class GrantRefused(PermanentError):  # noqa: N818 - states what Xero said
    """Xero answered ``invalid_grant``: the code or refresh token is not accepted."""


class IdentityUnavailable(RetryableError):  # noqa: N818 - as above
    """Xero did not act: unreachable, overloaded or refusing us. The same token can be tried again."""


class IdentitySilent(RetryableError):  # noqa: N818 - as above
    """No readable answer came in time. Xero may have acted."""


@dataclass(frozen=True)
class Grant:
    """One Xero user's consent as it stood at ``read_at``, by the clock that all replicas share."""

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
    """The right to use one generation's refresh token; it ends by itself when its life is over."""

    grant_id: str
    generation: int
    owner: str
    refresh_token: SecretStr
    failures: int
    refusals: int


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
    tenant_id: str
    name: str


class Grants(Protocol):
    """The records of what Xero granted."""

    async def of_tenant(self, tenant_id: str) -> Grant | None: ...

    async def read(self, grant_id: str) -> Grant | None: ...

    async def claim(self, seen: Grant, owner: str, life_seconds: float) -> Claim | None:
        """Claim the seen generation; None when it moved, is claimed by another, is lost or must not be tried yet."""
        ...

    async def renew(self, claim: Claim, pair: TokenPair, *, age_seconds: float, rest_seconds: float) -> bool:
        """Store the pair as the next generation; False, and nothing stored, when the claim is no longer ours.

        ``age_seconds`` is how long ago the pair was asked for, ``rest_seconds`` how long not to try again.

        Raises:
            RetryableError: the database did not confirm; the same call may be made again.
        """
        ...

    async def put_off(self, claim: Claim, seconds: float, *, failures: int, refusals: int) -> None:
        """Give the claim back and allow no attempt for ``seconds``."""
        ...

    async def lose(self, claim: Claim, reason: str) -> bool:
        """Mark the grant and its connections as lost; False when the claim is no longer ours."""
        ...


class Connections(Protocol):
    async def connected(self) -> Sequence[Connection]: ...


class RefreshLock(Protocol):
    """The fast path that keeps replicas from asking the database all at once; never the guard."""

    def hold(self, grant_id: str) -> AbstractAsyncContextManager[bool]:
        """True while it is ours or cannot be had from anyone; False when another holds it."""
        ...


class Identity(Protocol):
    """Xero's identity service. Every call ends within its deadline, and raises one of the three errors above."""

    async def refresh(self, refresh_token: SecretStr) -> TokenPair: ...

    async def exchange(self, code: str) -> TokenPair: ...

    async def organisations(self, access_token: SecretStr) -> Sequence[Organisation]: ...


@dataclass(frozen=True)
class Consent:
    """One journey through Xero's login, claimed by the callback that is finishing it."""

    state: str
    owner: str
    link: Link


class Consents(Protocol):
    async def open(self, link: Link, new_state: str, life_seconds: float) -> str | None:
        """The state of the link's journey (``new_state`` the first time); None when the link was used."""
        ...

    async def begin(self, state: str, owner: str, life_seconds: float) -> Consent:
        """Claim the journey for one callback.

        Raises:
            ConsentRefused: the state is unknown, used, expired, or another callback is finishing it.
        """
        ...

    async def give_back(self, consent: Consent) -> None:
        """Nothing came of it: the link can be opened again."""
        ...

    async def complete(
        self,
        consent: Consent,
        grant_id: str,
        pair: TokenPair,
        organisations: Sequence[Organisation],
        age_seconds: float,
    ) -> None:
        """Use up the link, store the grant as its next generation and connect the organisations, all or nothing.

        Raises:
            ConsentRefused: another callback finished first.
        """
        ...


@dataclass(frozen=True)
class Announcement:
    """A change of a connection that has not been told yet; ``revision`` is which change of that tenant's."""

    tenant_id: str
    tenant_name: str
    revision: int
    lost: bool
    reason: str
    changed_at: datetime
    connected_at: datetime
    correlation_id: str | None


class Announcements(Protocol):
    async def due(self, limit: int) -> Sequence[Announcement]: ...

    async def told(self, announcement: Announcement) -> None: ...


class Figures(Protocol):
    """Where refreshes and consents are counted and logged."""

    def refreshed(self, grant_id: str, generation: int, seconds: float) -> None: ...

    def refresh_failed(self, grant_id: str, outcome: str, reason: str) -> None: ...

    def grant_lost(self, grant_id: str, reason: str) -> None: ...

    def answered(self, outcome: str) -> None: ...

    def consented(self, outcome: str, organisations: int = 0) -> None: ...

    def untold(self, reason: str) -> None: ...
