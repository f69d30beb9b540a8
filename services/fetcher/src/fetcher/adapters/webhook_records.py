"""What webhooks led to and what polls alone found, in Redis; losing it costs precision and nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from fetcher.adapters.redis_faults import redis_answers
from fetcher.ports import Clock
from fetcher.silence import Silence
from fetcher.versions import Account, Heard, Version

KEPT = timedelta(days=2)
"""Of what was heard of a tenant: longer than any poll that is judged looks back."""
MOST_OF_A_TENANT = 20_000
MISSED_KEPT = timedelta(days=7)
MOST_MISSED = 20_000
_CLAIM_SECONDS = 60
_AT_ONCE = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PREFIX = "duebell:fetcher:webhooks"
_HEARD_AT, _SUSPECTS, _MISSED = f"{_PREFIX}:heard-at", f"{_PREFIX}:suspects", f"{_PREFIX}:missed"
_SILENCE, _CLAIM = f"{_PREFIX}:silence", f"{_PREFIX}:announcing"

_NOTE = """
local new, count, at = 0, tonumber(ARGV[4]), 5
for _ = 1, count do
  new = new + redis.call('ZADD', KEYS[1], ARGV[at], ARGV[at + 1])
  at = at + 2
end
while at < #ARGV do
  local known = redis.call('ZSCORE', KEYS[2], ARGV[at + 1])
  if not known or tonumber(known) < tonumber(ARGV[at]) then redis.call('ZADD', KEYS[2], ARGV[at], ARGV[at + 1]) end
  at = at + 2
end
for _, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', ARGV[1])
  local beyond = redis.call('ZCARD', key) - tonumber(ARGV[2])
  if beyond > 0 then
    for _, oldest in ipairs(redis.call('ZRANGE', key, 0, beyond - 1)) do redis.call('ZREM', key, oldest) end
  end
  redis.call('EXPIRE', key, ARGV[3])
end
return new
"""
"""KEYS: versions read, invoices told of. ARGV: what is older goes, how many stay, seconds until all goes, how many
versions; then score and member of each version and of each invoice. Answers how many versions were new."""


class RedisWebhookRecords:
    """See :class:`fetcher.ports.WebhookRecords`. Scores are milliseconds; every method raises RetryableError."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock
        self._note = redis.register_script(_NOTE)

    async def note(self, tenant_id: str, told: Mapping[str, datetime], read: Sequence[Version]) -> int:
        limits = [_ms(self._clock() - KEPT), MOST_OF_A_TENANT, int(KEPT.total_seconds())]
        versions = [(_ms(version.updated_at), _of_tenant(version)) for version in read]
        invoices = [(_ms(at), invoice_id) for invoice_id, at in told.items()]
        new = 0
        for start in range(0, max(len(versions), len(invoices)), _AT_ONCE):
            some, others = versions[start : start + _AT_ONCE], invoices[start : start + _AT_ONCE]
            pairs = [word for pair in (*some, *others) for word in pair]
            with redis_answers():
                new += await self._note(
                    keys=[_read_key(tenant_id), _told_key(tenant_id)], args=[*limits, len(some), *pairs]
                )
        return new

    async def heard(self, tenant_id: str, versions: Sequence[Version]) -> Heard:
        read = await self._scores(_read_key(tenant_id), [_of_tenant(version) for version in versions])
        told = await self._scores(_told_key(tenant_id), [version.invoice_id for version in versions])
        return Heard(
            read=frozenset(version for version in versions if _of_tenant(version) in read),
            told={(tenant_id, invoice_id): _moment(score) for invoice_id, score in told.items()},
        )

    async def hear(self, at: datetime) -> None:
        known, now = await self.heard_at(), self._clock()
        # A moment to come was told by a clock that ran ahead: until then no silence would be noticed.
        at = min(at, now)
        if known is None or known < at or known > now:
            await self._keep(_HEARD_AT, at)

    async def heard_at(self) -> datetime | None:
        moments = await self._moments(_HEARD_AT)
        return moments[0] if moments else None

    async def account(self, tenant_id: str) -> Account | None:
        moments = await self._moments(_account_key(tenant_id))
        return Account(*moments) if moments else None

    async def keep_account(self, tenant_id: str, account: Account) -> None:
        # One that has ended is as none.
        await self._keep(_account_key(tenant_id), account.opened_at, account.polled_at, ex=KEPT)

    async def suspect(self, versions: Sequence[Version], found_at: datetime) -> None:
        known = await self._scores(_MISSED, [_member(version) for version in versions])
        new = {_member(version): _ms(found_at) for version in versions if _member(version) not in known}
        if new:
            with redis_answers():
                await self._redis.zadd(_SUSPECTS, new, nx=True)

    async def suspects(self, before: datetime, most: int) -> Sequence[Version]:
        with redis_answers():
            members = await self._redis.zrangebyscore(_SUSPECTS, "-inf", _ms(before), start=0, num=most)
        return [_version(str(member)) for member in members]

    async def settle(self, suspects: Sequence[Version], lost: Sequence[Version]) -> int:
        with redis_answers():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for version in suspects:
                    pipeline.zrem(_SUSPECTS, _member(version))
                removed = await pipeline.execute()
            ours = {version for version, count in zip(suspects, removed, strict=True) if count}
            counted = [version for version in lost if version in ours]
            if counted:
                await self._redis.zadd(_MISSED, {_member(version): _ms(version.updated_at) for version in counted})
        return len(counted)

    async def missed(self) -> Sequence[Version]:
        with redis_answers():
            await self._redis.zremrangebyscore(_MISSED, "-inf", _ms(self._clock() - MISSED_KEPT))
            beyond = await self._redis.zcard(_MISSED) - MOST_MISSED
            if beyond > 0:
                await self._redis.zrem(_MISSED, *await self._redis.zrange(_MISSED, 0, beyond - 1))
            members = await self._redis.zrange(_MISSED, 0, -1)
        return [_version(str(member)) for member in members]

    async def silence(self) -> Silence | None:
        moments = await self._moments(_SILENCE)
        return Silence(*moments) if moments else None

    async def may_announce(self) -> bool:
        with redis_answers():
            return bool(await self._redis.set(_CLAIM, "claimed", nx=True, ex=_CLAIM_SECONDS))

    async def begin_silence(self, silence: Silence) -> None:
        await self._keep(_SILENCE, silence.since, silence.announced_at)

    async def end_silence(self) -> bool:
        with redis_answers():
            return bool(await self._redis.delete(_SILENCE))

    async def _moments(self, key: str) -> list[datetime]:
        with redis_answers():
            text = await self._redis.get(key)
        return [datetime.fromisoformat(word) for word in str(text or "").split()]

    async def _keep(self, key: str, *moments: datetime, ex: timedelta | None = None) -> None:
        with redis_answers():
            await self._redis.set(key, " ".join(at.isoformat() for at in moments), ex=ex)

    async def _scores(self, key: str, members: Iterable[str]) -> dict[str, float]:
        asked = list(dict.fromkeys(members))
        if not asked:
            return {}
        with redis_answers():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for member in asked:
                    pipeline.zscore(key, member)
                scores = await pipeline.execute()
        return {member: score for member, score in zip(asked, scores, strict=True) if score is not None}


def _read_key(tenant_id: str) -> str:
    return f"{_PREFIX}:read:{tenant_id}"


def _told_key(tenant_id: str) -> str:
    return f"{_PREFIX}:told:{tenant_id}"


def _account_key(tenant_id: str) -> str:
    return f"{_PREFIX}:account:{tenant_id}"


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _moment(milliseconds: float) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _of_tenant(version: Version) -> str:
    return f"{version.invoice_id}|{_ms(version.updated_at)}"


def _member(version: Version) -> str:
    return f"{version.tenant_id}|{_of_tenant(version)}"


def _version(member: str) -> Version:
    tenant_id, invoice_id, milliseconds = member.rsplit("|", 2)
    return Version(tenant_id, invoice_id, _moment(int(milliseconds)))
