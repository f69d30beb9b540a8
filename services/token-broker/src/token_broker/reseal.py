"""Moves stored tokens to the key that seals now, while the service runs; stopped anywhere, it is called again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from token_broker.keyring import SealBroken

_PAGE = 100


@dataclass(frozen=True)
class SealedGrant:
    """A grant's ciphertexts as they were read; an empty one has nothing in it."""

    id: str
    generation: int
    access_token: str
    refresh_token: str


@dataclass(frozen=True)
class Tally:
    """Key id → stored ciphertexts made with it, and how many grants have one of another key than the first."""

    by_key: Mapping[str, int]
    stale: int


class SealedGrants(Protocol):
    """The stored ciphertexts. A *stale* grant has one that was made with another key than the ring's first."""

    async def stale(self, after: str, limit: int) -> Sequence[SealedGrant]:
        """Stale grants in the order of their ids, from the one that follows ``after``."""
        ...

    async def reseal(self, seen: SealedGrant) -> bool:
        """Seal a grant's tokens with the first key; False, and nothing written, when it is no longer as it was seen.

        Raises:
            SealBroken: one of them does not open; nothing was written.
        """
        ...

    async def tally(self) -> Tally: ...


@dataclass(frozen=True)
class Resealed:
    """What a call did and what it left.

    ``left`` are stale grants without the ``broken`` ones; ``by_key`` counts all ciphertexts there are, ``?`` those that
    name no key; ``broken`` are ids of stale grants whose ciphertexts do not open, as far as the call came.
    """

    resealed: int
    left: int
    by_key: Mapping[str, int]
    broken: tuple[str, ...]


class Reseal:
    """To be called until nothing is left. Whatever refreshes a grant meanwhile wins."""

    def __init__(self, grants: SealedGrants) -> None:
        self._grants = grants

    async def __call__(self, limit: int) -> Resealed:
        """Seal up to ``limit`` stale grants anew.

        Raises:
            RetryableError: the database did not answer; what was done before is kept.
        """
        resealed, broken, after = 0, list[str](), ""
        while page := await self._grants.stale(after, min(limit - resealed, _PAGE)):
            for seen in page:
                after = seen.id
                try:
                    resealed += await self._grants.reseal(seen)
                except SealBroken:
                    broken.append(seen.id)
        tally = await self._grants.tally()
        return Resealed(resealed, max(0, tally.stale - len(broken)), tally.by_key, tuple(broken))
