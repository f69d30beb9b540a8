"""Use case: announce that webhooks have gone silent, once and then daily, and notice when they are back."""

from dataclasses import dataclass

from fetcher.ports import Announce, Clock, WebhookRecords
from fetcher.silence import Silence, Step, announcement, verdict
from shared.contracts.xero import WebhookSilentV1


@dataclass(frozen=True)
class Watched:
    """What one look came to: ``announced`` or ``ended`` by this replica; ``silent`` for all."""

    silent: bool
    announced: WebhookSilentV1 | None = None
    ended: bool = False


class SilenceWatch:
    """One look at what polls alone have found. A crash may announce the same silence twice, never not at all."""

    def __init__(self, records: WebhookRecords, announce: Announce, clock: Clock) -> None:
        self._records = records
        self._announce = announce
        self._clock = clock

    async def __call__(self) -> Watched:
        """Raises RetryableError: nobody was told, and the next look tries again."""
        now = self._clock()
        standing, heard_at = await self._records.silence(), await self._records.heard_at()
        missed = await self._records.missed()
        step = verdict(missed, heard_at, standing, now)
        if step.step is Step.END:
            return Watched(silent=False, ended=await self._records.end_silence())
        if step.since is None or not await self._records.may_announce():
            return Watched(silent=standing is not None)
        event = announcement(missed, heard_at, step.since, now)
        await self._announce(event)
        await self._records.begin_silence(Silence(step.since, now))
        return Watched(silent=True, announced=event)
