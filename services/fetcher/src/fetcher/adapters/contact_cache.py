"""Keeps contacts for a day, in the form in which they are published and no more."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from redis.asyncio import Redis

from fetcher.adapters.redis_faults import redis_answers
from shared.contracts.invoices import Contact

KEPT_SECONDS = 24 * 3600
DROPPED_SECONDS = 60
"""Longer than a call: a reading that began before the contact changed must not be kept after it."""
_DROPPED = ""


class RedisContactCache:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, tenant_id: str, ids: Sequence[str]) -> Mapping[str, Contact]:
        """What is kept of these contacts. Raises RetryableError."""
        if not ids:
            return {}
        with redis_answers():
            texts = await self._redis.mget([_key(tenant_id, contact_id) for contact_id in ids])
        found = {contact_id: _contact(text) for contact_id, text in zip(ids, texts, strict=True)}
        return {contact_id: contact for contact_id, contact in found.items() if contact is not None}

    async def keep(self, tenant_id: str, contacts: Sequence[Contact]) -> None:
        """Keep each where nothing is kept. Raises RetryableError."""
        if not contacts:
            return
        with redis_answers():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for contact in contacts:
                    key = _key(tenant_id, contact.contact_id)
                    pipeline.set(key, contact.model_dump_json(), ex=KEPT_SECONDS, nx=True)
                await pipeline.execute()

    async def drop(self, tenant_id: str, contact_id: str) -> None:
        """Forget the contact, and what is being read of it now. Raises RetryableError."""
        with redis_answers():
            await self._redis.set(_key(tenant_id, contact_id), _DROPPED, ex=DROPPED_SECONDS)


def _key(tenant_id: str, contact_id: str) -> str:
    return f"duebell:fetcher:contact:{tenant_id}:{contact_id}"


def _contact(text: str | bytes | None) -> Contact | None:
    if not text:
        return None
    try:
        return Contact.model_validate_json(text)
    except ValidationError:
        # Kept by another version of this service.
        return None
