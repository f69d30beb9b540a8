"""A tenant's share of a lane: what waits for its limits must not fill the places that others need."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.errors import RetryableError
from shared.topology.delays import LADDER

AGAIN_SECONDS = 5.0


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

    def __init__(self, most: int, rest: Callable[[str], float | None] = _always) -> None:
        self._most = most
        self._rest = rest
        self._taken: Counter[str] = Counter()

    @contextmanager
    def place(self, tenant_id: str) -> Iterator[None]:
        """Hold a place for the length of the block.

        Raises:
            RetryableError: ``tenant_crowded``; the delivery comes back, and no attempt is counted.
        """
        if self._taken[tenant_id] >= self._most:
            rest = self._rest(tenant_id)
            if rest is not None:
                raise RetryableError("tenant_crowded", retry_after=_again(rest), counts=False)
        self._taken[tenant_id] += 1
        try:
            yield
        finally:
            self._taken[tenant_id] -= 1
            if not self._taken[tenant_id]:
                del self._taken[tenant_id]
