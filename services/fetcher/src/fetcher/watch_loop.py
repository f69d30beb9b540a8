"""Writes down what webhooks led to, every second, and looks every minute whether they still come."""

from collections.abc import Callable

from fetcher.arrivals import Arrivals
from fetcher.poll_account import PollAccount
from fetcher.silence_watch import SilenceWatch
from shared.errors import RetryableError
from shared.runtime.service import Stop
from shared.telemetry.logging import get_logger

FLUSH_SECONDS = 1.0
FLUSHES_A_LOOK = 60
_log = get_logger(__name__)


class WatchLoop:
    """``silent`` takes whether webhooks are silent, after every look."""

    def __init__(
        self, arrivals: Arrivals, account: PollAccount, watch: SilenceWatch, silent: Callable[[bool], None]
    ) -> None:
        self._arrivals = arrivals
        self._account = account
        self._watch = watch
        self._silent = silent

    async def __call__(self, stop: Stop) -> None:
        turn = 0
        while not stop.is_set():
            await stop.wait(FLUSH_SECONDS)
            turn += 1
            await self.turn(look=turn % FLUSHES_A_LOOK == 0)

    async def turn(self, *, look: bool) -> None:
        """One second's work, and the minute's where ``look`` says so. What fails is only late."""
        try:
            await self._arrivals.flush()
            if look:
                await self._look()
        except RetryableError as error:
            _log.warning("webhooks.unwatched", reason=error.reason)

    async def _look(self) -> None:
        await self._account.settle()
        seen = await self._watch()
        self._silent(seen.silent)
        if (event := seen.announced) is not None:
            _log.error(
                "webhooks.silent",
                since=event.since.isoformat(),
                heard_at=event.heard_at.isoformat() if event.heard_at else None,
                changes=event.changes,
                tenants=event.tenants,
                remedy=event.remedy,
            )
        if seen.ended:
            _log.info("webhooks.heard_again")
