"""A tenant's share of a lane: what waits for its limits must not fill the places that others need."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from shared.errors import RetryableError
from shared.topology.delays import LADDER

AGAIN_SECONDS = 5.0
PLACE_SECONDS = 180.0
"""Far longer than what waits for a minute's limit: a tenant whose calls take long gives its places back to others."""


def _always(_tenant_id: str) -> float | None:
    return 0.0


def _again(rest: float) -> float:
    """The longest pause there is that ends before the work goes on; one that ends later would keep it from that."""
    return max((rung.seconds for rung in LADDER if AGAIN_SECONDS < rung.seconds <= rest), default=AGAIN_SECONDS)


class TenantShares:
    """Places of deliveries that are being handled, ``most`` for each tenant whose work stands.

    ``rest`` says for how long it will stand at least, None for a tenant that goes on; that one has no bound.

    Ingress lets a tenant into the hot lane more slowly than it is read, but a tenant that Xero holds is not read at
    all: within a minute its deliveries would take every place there is.
    """

    def __init__(
        self, most: int, rest: Callable[[str], float | None] = _always, *, seconds: float = PLACE_SECONDS
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._rest = rest
        self._taken: Counter[str] = Counter()

    @asynccontextmanager
    async def place(self, tenant_id: str) -> AsyncIterator[None]:
        """Hold a place for the length of the block, which is ended after ``seconds``.

        Raises:
            RetryableError: ``tenant_crowded`` or ``tenant_slow``; the delivery comes back, and no attempt is counted.
        """
        if self._taken[tenant_id] >= self._most:
            rest = self._rest(tenant_id)
            if rest is not None:
                raise RetryableError("tenant_crowded", retry_after=_again(rest), counts=False)
        self._taken[tenant_id] += 1
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except TimeoutError as error:
            raise RetryableError("tenant_slow", retry_after=60, counts=False) from error
        finally:
            self._taken[tenant_id] -= 1
            if not self._taken[tenant_id]:
                del self._taken[tenant_id]
