"""Keeps contacts for a day, in the form in which they are published and no more."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError
from redis.asyncio import Redis

from fetcher.adapters.redis_faults import redis_answers
from shared.contracts.invoices import Contact

KEPT_SECONDS = 24 * 3600
"""Of a contact, and of the mark that it was dropped: a reading that began before it changed is not kept after it."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_KEEP = """
local kept = redis.call('GET', KEYS[1])
local kept_at = kept and tonumber(string.match(kept, '^(%d+) '))
if kept_at and kept_at >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'EX', ARGV[3])
return 1
"""
"""KEYS: the contact's. ARGV: when it was read, the contact, how long it is kept."""


_DROP = """
local kept = redis.call('GET', KEYS[1])
if kept == ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""
"""KEYS: the contact's. ARGV: what an erased one's key holds, what to leave instead of any other, how long."""
_NEVER_AGAIN = f"{10**16 - 1} "
"""What the key of an erased contact holds: no reading is later than this, so none is kept."""


class RedisContactCache:
    """Each key holds a moment in microseconds, a space, and the contact as it was then; nothing for a dropped one."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._keep = redis.register_script(_KEEP)
        self._drop = redis.register_script(_DROP)

    async def find(self, tenant_id: str, ids: Sequence[str]) -> Mapping[str, Contact]:
        """What is kept of these contacts. Raises RetryableError."""
        if not ids:
            return {}
        with redis_answers():
            texts = await self._redis.mget([_key(tenant_id, contact_id) for contact_id in ids])
        found = {contact_id: _contact(str(text or "")) for contact_id, text in zip(ids, texts, strict=True)}
        return {contact_id: contact for contact_id, contact in found.items() if contact is not None}

    async def keep(self, tenant_id: str, contacts: Sequence[Contact], read_at: datetime) -> None:
        """Keep each unless it was read or dropped at ``read_at`` or later. Raises RetryableError."""
        if not contacts:
            return
        with redis_answers():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for contact in contacts:
                    await self._keep(
                        keys=[_key(tenant_id, contact.contact_id)],
                        args=[_moment(read_at), contact.model_dump_json(), KEPT_SECONDS],
                        client=pipeline,
                    )
                await pipeline.execute()

    async def drop(self, tenant_id: str, contact_id: str, at: datetime) -> None:
        """Forget the contact, and what is being read of it now. Raises RetryableError."""
        with redis_answers():
            await self._drop(keys=[_key(tenant_id, contact_id)], args=[_NEVER_AGAIN, f"{_moment(at)} ", KEPT_SECONDS])

    async def erase(self, tenant_id: str, contact_ids: Sequence[str], *, really: bool) -> int:
        """Forget these and keep them never again; how many were kept. Raises RetryableError."""
        kept = len(await self.find(tenant_id, contact_ids))
        if really:
            with redis_answers():
                for contact_id in contact_ids:
                    await self._redis.set(_key(tenant_id, contact_id), _NEVER_AGAIN)
        return kept

    async def readmit(self, tenant_id: str, contact_ids: Sequence[str]) -> None:
        """Keep these again. Raises RetryableError."""
        with redis_answers():
            for contact_id in contact_ids:
                await self._redis.delete(_key(tenant_id, contact_id))


def _key(tenant_id: str, contact_id: str) -> str:
    return f"duebell:fetcher:contact:{tenant_id}:{contact_id}"


def _moment(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _contact(text: str) -> Contact | None:
    _, _, contact = text.partition(" ")
    if not contact:
        return None
    try:
        return Contact.model_validate_json(contact)
    except ValidationError:
        # Kept by another version of this service.
        return None
