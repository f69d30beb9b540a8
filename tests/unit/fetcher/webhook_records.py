"""What webhooks led to and what polls alone found, kept as Redis keeps it but in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from fetcher.silence import Silence
from fetcher.versions import Account, Heard, Version
from shared.errors import RetryableError


class FakeWebhookRecords:
    """As Redis keeps them, but for their limits."""

    def __init__(self) -> None:
        self.read: set[Version] = set()
        self.told: dict[tuple[str, str], datetime] = {}
        self.last_heard: datetime | None = None
        self.accounts: dict[str, Account] = {}
        self.suspected: dict[Version, datetime] = {}
        self.lost: dict[Version, None] = {}
        self.standing: Silence | None = None
        self.free_to_announce = True
        self.failing = False

    async def note(self, tenant_id: str, told: Mapping[str, datetime], read: Sequence[Version]) -> int:
        if self.failing:
            raise RetryableError("redis_unreachable")
        for invoice_id, at in told.items():
            key = (tenant_id, invoice_id)
            self.told[key] = max(at, self.told.get(key, at))
        before = len(self.read)
        self.read |= set(read)
        return len(self.read) - before

    async def heard(self, tenant_id: str, versions: Sequence[Version]) -> Heard:
        keys = [(tenant_id, version.invoice_id) for version in versions]
        told = {key: self.told[key] for key in keys if key in self.told}
        return Heard(frozenset(self.read.intersection(versions)), told)

    async def hear(self, at: datetime) -> None:
        self.last_heard = max(at, self.last_heard or at)

    async def heard_at(self) -> datetime | None:
        return self.last_heard

    async def account(self, tenant_id: str) -> Account | None:
        return self.accounts.get(tenant_id)

    async def keep_account(self, tenant_id: str, account: Account) -> None:
        self.accounts[tenant_id] = account

    async def suspect(self, versions: Sequence[Version], found_at: datetime) -> None:
        for version in versions:
            if version not in self.lost:
                self.suspected.setdefault(version, found_at)

    async def suspects(self, before: datetime, most: int) -> Sequence[Version]:
        return [version for version, found_at in self.suspected.items() if found_at <= before][:most]

    async def settle(self, suspects: Sequence[Version], lost: Sequence[Version]) -> int:
        ours = {version for version in suspects if self.suspected.pop(version, None)}
        counted = dict.fromkeys(version for version in lost if version in ours)
        self.lost |= counted
        return len(counted)

    async def missed(self) -> Sequence[Version]:
        return sorted(self.lost, key=lambda version: version.updated_at)

    async def silence(self) -> Silence | None:
        return self.standing

    async def may_announce(self) -> bool:
        return self.free_to_announce

    async def begin_silence(self, silence: Silence) -> None:
        self.standing = silence

    async def end_silence(self) -> bool:
        ended, self.standing = self.standing is not None, None
        return ended
