"""Which lane an event takes: a tenant's burst goes hot, what is beyond it goes bulk."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from shared.contracts import Event, XeroEventReceivedV1
from shared.topology.lanes import Lane

BURST = 100
"""Events of a tenant that may be ahead of a quiet one's in the hot lane; two batches of the fetcher."""
REFILL_PER_SECOND = 5.0
"""A tenth of what the fetcher reads of one tenant (60 calls a minute, 50 ids each): the hot lane is emptied faster than
one tenant can fill it."""


@dataclass(slots=True)
class _Bucket:
    """``left`` events at time ``at``."""

    left: float
    at: float


class TenantBursts:
    """A token bucket per tenant, in this process alone: ``n`` replicas grant ``n`` bursts.

    A tenant that was silent until its bucket was full again is forgotten, which changes nothing for it.
    """

    def __init__(
        self, monotonic: Callable[[], float], *, burst: int = BURST, refill_per_second: float = REFILL_PER_SECOND
    ) -> None:
        self._monotonic = monotonic
        self._burst = burst
        self._refill_per_second = refill_per_second
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        """The longest silent tenant first."""

    def lane_of_next(self, tenant_id: str) -> Lane:
        """Take one event of the tenant into account. Bulk events use up nothing of the burst."""
        now = self._monotonic()
        self._forget_idle(now)
        bucket = self._buckets.setdefault(tenant_id, _Bucket(self._burst, now))
        self._buckets.move_to_end(tenant_id)
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._refill_per_second)
        bucket.at = now
        if bucket.left < 1:
            return Lane.BULK
        bucket.left -= 1
        return Lane.HOT

    @property
    def tenants(self) -> int:
        """How many are remembered."""
        return len(self._buckets)

    def _forget_idle(self, now: float) -> None:
        full_again = now - self._burst / self._refill_per_second
        while self._buckets and next(iter(self._buckets.values())).at <= full_again:
            self._buckets.popitem(last=False)


class Lanes:
    """Says of each event which lane it takes, and counts. What has no tenant is hot."""

    def __init__(self, bursts: TenantBursts, counted: Callable[[str, Lane], None]) -> None:
        self._bursts = bursts
        self._counted = counted

    def of(self, event: Event) -> Lane:
        lane = self._bursts.lane_of_next(event.tenant_id) if isinstance(event, XeroEventReceivedV1) else Lane.HOT
        self._counted(event.key, lane)
        return lane
