"""Use case: keep count of what polls alone have found, which is how many webhooks were lost."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from fetcher.ports import Clock, InvoiceRow, WebhookRecords
from fetcher.versions import SETTLED_AFTER, Account, Version, judged_from, unheard

_AT_ONCE = 1000


class PollAccount:
    """What a poll finds unheard is suspected first, and counted as lost when nothing was heard of it by and by.

    ``lost`` takes how many versions have just been found to be lost. Every method raises RetryableError.
    """

    def __init__(self, records: WebhookRecords, clock: Clock, lost: Callable[[int], None]) -> None:
        self._records = records
        self._clock = clock
        self._lost = lost

    async def judged_from(self, tenant_id: str, *, catching_up: bool) -> datetime | None:
        """From which change on a poll that starts now is evidence; None for one that is none."""
        account = await self._records.account(tenant_id)
        return judged_from(account, self._clock(), catching_up=catching_up)

    async def ended(self, tenant_id: str, opened_at: datetime) -> None:
        """A poll ended; in the next one, changes since ``opened_at`` are evidence."""
        await self._records.keep_account(tenant_id, Account(opened_at, self._clock()))

    async def found(self, tenant_id: str, rows: Iterable[InvoiceRow], begin: datetime) -> None:
        """A poll found these; those changed since ``begin`` are judged."""
        versions = [
            Version(tenant_id, row.invoice.invoice_id, row.invoice.updated_at)
            for row in rows
            if row.invoice.updated_at is not None and row.invoice.updated_at >= begin
        ]
        if suspects := await self._unheard(versions):
            await self._records.suspect(suspects, self._clock())

    async def settle(self) -> None:
        """Count those suspects whose time is up; safe in any number of replicas."""
        before = self._clock() - SETTLED_AFTER
        while suspects := await self._records.suspects(before, _AT_ONCE):
            self._lost(await self._records.settle(suspects, await self._unheard(suspects)))

    async def _unheard(self, versions: Sequence[Version]) -> list[Version]:
        found: list[Version] = []
        for tenant_id in sorted({version.tenant_id for version in versions}):
            of_tenant = [version for version in versions if version.tenant_id == tenant_id]
            found += unheard(of_tenant, await self._records.heard(tenant_id, of_tenant))
        return found
