"""Keeps each tenant's organisation for a day."""

from pydantic import ValidationError
from redis.asyncio import Redis

from fetcher.adapters.redis_faults import redis_answers
from shared.contracts.invoices import Organisation

KEPT_SECONDS = 24 * 3600


class RedisOrganisationCache:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, tenant_id: str) -> Organisation | None:
        """Raises RetryableError."""
        with redis_answers():
            text = await self._redis.get(_key(tenant_id))
        try:
            return Organisation.model_validate_json(text) if text else None
        except ValidationError:
            # Kept by another version of this service.
            return None

    async def keep(self, tenant_id: str, organisation: Organisation) -> None:
        """Raises RetryableError."""
        with redis_answers():
            await self._redis.set(_key(tenant_id), organisation.model_dump_json(), ex=KEPT_SECONDS)


def _key(tenant_id: str) -> str:
    return f"duebell:fetcher:organisation:{tenant_id}"
