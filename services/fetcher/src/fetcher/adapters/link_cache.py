"""Keeps the invoices' online links for a month, so that each is asked for once."""

from collections.abc import Mapping, Sequence

from redis.asyncio import Redis

from fetcher.adapters.redis_faults import redis_answers
from fetcher.ports import Link

KEPT_SECONDS = 30 * 24 * 3600
REFUSED_SECONDS = 24 * 3600
"""Of an invoice that has no page; it may get one."""
_ADDRESS = "https://"


class RedisLinkCache:
    """Each key holds the address, or the word that says why there is none."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, tenant_id: str, ids: Sequence[str]) -> Mapping[str, Link]:
        """What is kept of these invoices. Raises RetryableError."""
        if not ids:
            return {}
        with redis_answers():
            texts = await self._redis.mget([_key(tenant_id, invoice_id) for invoice_id in ids])
        return {invoice_id: _link(str(text)) for invoice_id, text in zip(ids, texts, strict=True) if text}

    async def keep(self, tenant_id: str, invoice_id: str, link: Link) -> None:
        """Raises RetryableError."""
        seconds = KEPT_SECONDS if link.url else REFUSED_SECONDS
        with redis_answers():
            await self._redis.set(_key(tenant_id, invoice_id), link.url or link.reason or "", ex=seconds)


def _link(text: str) -> Link:
    return Link(url=text) if text.startswith(_ADDRESS) else Link(reason=text)


def _key(tenant_id: str, invoice_id: str) -> str:
    return f"duebell:fetcher:link:{tenant_id}:{invoice_id}"
