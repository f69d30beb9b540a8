"""What each tenant costs, as the limiter keeps it in Redis."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from fetcher.adapters.limiter import CallLimiter, tenant_key
from fetcher.adapters.limiter_scripts import SHARED_PREFIX
from fetcher.adapters.organisation_cache import RedisOrganisationCache
from fetcher.adapters.redis_faults import redis_answers

_DAY_SECONDS = 86400


@dataclass(frozen=True)
class Spent:
    """One tenant's day so far (UTC): ``calls`` by purpose, ``endpoints`` by name for the calls that were answered.

    ``week_bytes`` are of the last seven days and today; ``held`` says which limit holds the tenant until ``until``.
    """

    tenant_id: str
    name: str | None
    calls: dict[str, int]
    endpoints: dict[str, int]
    bytes: int
    week_bytes: int
    day_left: int
    held: str | None
    until: datetime | None


class Spending:
    """Reads every tenant that has called in the last eight days."""

    def __init__(self, redis: Redis, limiter: CallLimiter) -> None:
        self._redis = redis
        self._limiter = limiter
        self._organisations = RedisOrganisationCache(redis)

    async def tenants(self) -> Sequence[Spent]:
        """The busiest first. Raises RetryableError."""
        with redis_answers():
            seconds, _ = await self._redis.time()
            ids = await self._redis.zrange(f"{SHARED_PREFIX}tenants", 0, -1)
        found = [await self._of(str(tenant_id), datetime.fromtimestamp(seconds, UTC)) for tenant_id in ids]
        return sorted(found, key=lambda spent: (-sum(spent.calls.values()), spent.tenant_id))

    async def everybody_until(self) -> datetime | None:
        """Until when nobody may call, because the app's limit was hit or counts were lost. Raises RetryableError."""
        with redis_answers():
            seconds, _ = await self._redis.time()
            rest = await self._redis.pttl(f"{SHARED_PREFIX}everybody")
        return datetime.fromtimestamp(seconds, UTC) + timedelta(milliseconds=rest) if rest > 0 else None

    async def _of(self, tenant_id: str, now: datetime) -> Spent:
        with redis_answers():
            kept = await self._redis.hgetall(tenant_key(tenant_id, "figures"))
            held = await self._redis.get(tenant_key(tenant_id, "hold"))
            rest = await self._redis.pttl(tenant_key(tenant_id, "hold"))
        figures = {str(name): int(count) for name, count in kept.items()}
        organisation = await self._organisations.find(tenant_id)
        today = f"{int(now.timestamp()) // _DAY_SECONDS}:"
        counts = {name.removeprefix(today): count for name, count in figures.items() if name.startswith(today)}
        return Spent(
            tenant_id=tenant_id,
            name=organisation.name if organisation else None,
            calls=_under("calls:", counts),
            endpoints=_under("endpoint:", counts),
            bytes=counts.get("bytes", 0),
            week_bytes=sum(count for name, count in figures.items() if name.endswith(":bytes")),
            day_left=(await self._limiter.day_left(tenant_id)).calls,
            held=str(held) if held and rest > 0 else None,
            until=now + timedelta(milliseconds=rest) if rest > 0 else None,
        )


def _under(prefix: str, counts: dict[str, int]) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in counts.items() if name.startswith(prefix)}
