"""Refreshes a grant once for everybody: one flight per process, one lock holder, and one claim in the record."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.errors import RetryableError
from token_broker.flights import Flights
from token_broker.ports import (
    ANSWER_LOST,
    Claim,
    Figures,
    Grant,
    GrantRefused,
    Grants,
    Identity,
    IdentitySilent,
    IdentityUnavailable,
    NotSent,
    RefreshLock,
    TokenPair,
)
from token_broker.timing import Pacing

T = TypeVar("T")

_MOST_AT_ONCE = 32
"""Refreshes under way in one process: a thousand at once would only keep each other from ending."""
_LONGEST_POLL_SECONDS = 1.0
_LOCK_PATIENCE_SECONDS = 2.0
_MOST_WAITING = 64
"""Callers that may wait for one grant in one process: a provider that hangs must not fill the queue for all tenants."""


class Refresher:
    """The order that matters: claim in the record, send, store as the next generation, hand out.

    The claim is what keeps two replicas from sending the same refresh token; the lock and the flight only save work.
    A flight belongs to the service: callers wait for it, and may leave without ending it.
    """

    def __init__(
        self,
        grants: Grants,
        identity: Identity,
        lock: RefreshLock,
        figures: Figures,
        announce: Callable[[], Awaitable[None]],
        *,
        pacing: Pacing,
        new_owner: Callable[[], str],
    ) -> None:
        self._grants = grants
        self._identity = identity
        self._lock = lock
        self._figures = figures
        self._announce = announce
        self._timing = pacing.timing
        self._monotonic = pacing.monotonic
        self._pause = pacing.pause
        self._chance = pacing.chance
        self._new_owner = new_owner
        self._flights: Flights[Grant | None] = Flights(self._broken)
        self._waiting: Counter[str] = Counter()
        self._places = asyncio.Semaphore(_MOST_AT_ONCE)
        self._draining = False

    async def newer_than(self, seen: Grant, patience_seconds: float) -> Grant | None:
        """The grant after a refresh, or as it stands when there was none; None when that takes too long."""
        if patience_seconds <= 0 or self._waiting[seen.id] >= _MOST_WAITING:
            return None
        if self._draining and seen.id not in self._flights:
            return None
        flight = self._flights.join(seen.id, lambda: self._fly(seen))
        self._waiting[seen.id] += 1
        try:
            await asyncio.wait({flight}, timeout=patience_seconds)
        finally:
            self._waiting[seen.id] -= 1
            if not self._waiting[seen.id]:
                del self._waiting[seen.id]
        return flight.result() if flight.done() else None

    async def drain(self) -> None:
        """Start nothing new and let running refreshes store what they get."""
        self._draining = True
        if running := self._flights.running():
            await asyncio.wait(running, timeout=self._timing.deadline_seconds + self._timing.margin_seconds)

    def _broken(self, grant_id: str, error: BaseException) -> None:
        self._figures.refresh_failed(grant_id, "broken", type(error).__name__)

    async def _fly(self, seen: Grant) -> Grant | None:
        until = self._monotonic() + self._timing.patience_seconds
        grant, poll = seen, self._timing.poll_seconds
        unclaimed_since = self._monotonic()
        while True:
            if self._timing.claims(grant.claimed_until, grant.read_at):
                unclaimed_since = self._monotonic()
            else:
                # Who holds the lock claims at once: a lock without a claim was left by somebody who is gone.
                orphaned = self._monotonic() - unclaimed_since > _LOCK_PATIENCE_SECONDS
                async with self._places:
                    await self._attempt(seen, whoever_holds_the_lock=orphaned)
            newest = await self._grants.read(seen.id)
            if newest is None or newest.lost or newest.generation != seen.generation:
                return newest
            grant = newest
            wait, poll = poll, min(poll * 1.5, _LONGEST_POLL_SECONDS)
            if grant.not_before is not None and grant.not_before > grant.read_at:
                if not grant.refusals:
                    return grant
                wait = max(wait, (grant.not_before - grant.read_at).total_seconds())
            if self._draining or self._monotonic() + wait > until:
                return grant
            await self._pause(wait)

    async def _attempt(self, seen: Grant, *, whoever_holds_the_lock: bool) -> None:
        async with self._lock.hold(seen.id) as ours:
            if not ours and not whoever_holds_the_lock:
                return
            claimed_at = self._monotonic()
            claim = await self._grants.claim(seen, self._new_owner(), self._timing.claim_seconds)
            if claim is None:
                return
            if claim.unknown_seconds is None or self._timing.may_repeat:
                await self._send(claim, lambda: self._timing.may_send(self._monotonic() - claimed_at))
            else:
                await self._lose(claim, ANSWER_LOST)

    async def _send(self, claim: Claim, may_send: Callable[[], bool]) -> None:
        sent_at = self._monotonic()
        try:
            pair = await self._identity.refresh(claim.refresh_token, may_send)
        except GrantRefused as error:
            await self._judge_refusal(claim, error.reason)
        except NotSent as error:
            await self._put_off(claim, 0)
            self._figures.refresh_failed(claim.grant_id, "not_sent", error.reason)
        except IdentityUnavailable as error:
            wait = self._timing.backoff(claim.failures, error.retry_after, self._chance())
            await self._put_off(claim, wait, failures=claim.failures + 1)
            self._figures.refresh_failed(claim.grant_id, "unavailable", error.reason)
        except IdentitySilent as error:
            # Xero may have acted, or act still: nobody may send this token again before the claim has lapsed.
            self._figures.refresh_failed(claim.grant_id, "silent", error.reason)
        else:
            await self._save(claim, pair, sent_at)

    async def _save(self, claim: Claim, pair: TokenPair, sent_at: float) -> None:
        rest = self._timing.rest(pair.lifetime_seconds)
        if await self._insist(lambda: self._grants.renew(claim, pair, rest_seconds=rest)):
            seconds = self._monotonic() - sent_at
            recovered = claim.unknown_seconds is not None
            self._figures.refreshed(claim.grant_id, claim.generation + 1, seconds, recovered=recovered)
        else:
            self._figures.refresh_failed(claim.grant_id, "superseded", "claim_lost")

    async def _insist(self, step: Callable[[], Awaitable[T]]) -> T:
        """What Xero said is known to nobody else, so a database that is away is asked again for minutes.

        However late it is written: what is no longer ours to change is not changed.
        """
        until = self._monotonic() + self._timing.persist_seconds
        while True:
            try:
                return await step()
            except RetryableError:
                if self._monotonic() > until:
                    raise
                await self._pause(self._timing.poll_seconds * 5)

    async def _judge_refusal(self, claim: Claim, reason: str) -> None:
        """One refusal may be a stray; the grant is lost when the next attempt, seconds later, is refused too."""
        grant = await self._insist(lambda: self._grants.read(claim.grant_id))
        if grant is None or grant.generation != claim.generation:
            self._figures.refresh_failed(claim.grant_id, "superseded", reason)
            return
        if not claim.refusals:
            await self._put_off(claim, self._timing.confirm_seconds, refusals=1)
            self._figures.refresh_failed(claim.grant_id, "refused", reason)
        else:
            too_late = claim.unknown_seconds is not None and claim.unknown_seconds > self._timing.grace_seconds
            await self._lose(claim, ANSWER_LOST if too_late else reason)

    async def _put_off(
        self, claim: Claim, seconds: float, *, failures: int | None = None, refusals: int | None = None
    ) -> None:
        await self._insist(
            lambda: self._grants.put_off(
                claim,
                seconds,
                failures=claim.failures if failures is None else failures,
                refusals=claim.refusals if refusals is None else refusals,
            )
        )

    async def _lose(self, claim: Claim, reason: str) -> None:
        if await self._insist(lambda: self._grants.lose(claim, reason)):
            self._figures.grant_lost(claim.grant_id, reason)
            await self._announce()
