"""What consents and announcements need of the records."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from token_broker.links import Link
from token_broker.ports import Organisation, TokenPair


@dataclass(frozen=True)
class Consent:
    """One journey through Xero's login, claimed at ``begun_at`` by the callback that is finishing it."""

    state: str
    begun_at: datetime
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
    ) -> None:
        """Use up the link, store the grant as its next generation and connect the organisations, all or nothing.

        The grant is due for a look: the same user may have disconnected something else.

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
