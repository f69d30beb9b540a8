"""Looks at the record after every transaction and says what must never be seen there."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from token_broker.adapters.grant_store import context
from token_broker.keyring import KeyRing
from token_broker.ports import ANSWER_LOST, INVALID_GRANT
from token_broker.tables import ACTIVE
from unit.token_broker.machine.provider import RETRY_AFTER, Issued, Provider, Reply, Request
from unit.token_broker.machine.records import GrantRow, grant_row, raw_grants, stored_connections
from unit.token_broker.machine.stepped_loop import VirtualTime

_TICKS = 1000
"""Microseconds; a transaction takes one, of which clocks in seconds know nothing."""


@dataclass
class Held:
    """A claim as the ledger saw it begin. ``excuse`` is what befell its holder: without one it may not lapse."""

    owner: str
    grant_id: str
    generation: int
    micros: int
    until: int
    excuse: str = ""


@dataclass
class Story:
    """What the ledger knows of one grant."""

    row: GrantRow | None = None
    changes: list[tuple[int, int]] = field(default_factory=list)
    pair: Issued | None = None
    refused: set[str] = field(default_factory=set)
    lapsed: list[Held] = field(default_factory=list)


class Ledger:
    def __init__(self, time: VirtualTime, provider: Provider, ring: KeyRing, blame: Callable[[str], None]) -> None:
        self.time, self.provider, self._ring, self._blame = time, provider, ring, blame
        self.claims: dict[str, Held] = {}
        self.stories: dict[str, Story] = defaultdict(Story)
        self.committed: dict[str, tuple[str, int]] = {}
        self._raw: dict[str, tuple[Any, ...]] = {}

    def look(self) -> None:
        """After a transaction."""
        for raw in raw_grants():
            if self._raw.get(raw[0]) != raw:
                self._raw[raw[0]] = raw
                self._changed(self.stories[raw[0]], grant_row(raw))

    def excuse(self, reason: str, replica: str | None = None) -> None:
        """Something befell whoever holds a claim now; ``replica`` is the one it befell, else all."""
        for story in self.stories.values():
            held = self.claims.get(story.row.claim or "") if story.row else None
            if held is not None and not held.excuse and (replica is None or held.owner.startswith(f"{replica}-")):
                held.excuse = reason

    def generation_at(self, grant_id: str, micros: int) -> int:
        """The newest generation stored by then."""
        return max((number for at, number in self.stories[grant_id].changes if at <= micros), default=0)

    def request_of(self, owner: str) -> Request | None:
        return next((each for each in reversed(self.provider.requests) if each.claim.owner == owner), None)

    def _changed(self, story: Story, new: GrantRow) -> None:
        old, story.row = story.row, new
        if old is None or new.generation > old.generation:
            self._moved(story, old, new)
        elif new.generation < old.generation:
            self._blame("the stored generation went back")
        elif new.status != old.status:
            self._lost(story, old, new)
        else:
            self._same_generation(story, old, new)

    def _moved(self, story: Story, old: GrantRow | None, new: GrantRow) -> None:
        story.changes.append((self.time.micros, new.generation))
        access = self._open(new.access_token, "access", new)
        pair = self.provider.issued[self._open(new.refresh_token, "refresh", new)]
        self.committed[access] = (new.id, new.generation)
        if new.expires > pair.expires_micros + _TICKS:
            self._blame("a token is stored with more life than it has")
        if old is not None and new.generation != old.generation + 1:
            self._blame("the stored generation jumped")
        if old is not None and pair.request is not None:
            if pair.request.claim.owner != old.claim:
                self._blame("a pair was stored by one whose claim was gone")
            if story.pair is not None and pair.family is not story.pair.family:
                self._blame("a pair of an older consent replaced that of a newer")
            elif story.pair is not None and pair.asked_micros < story.pair.asked_micros:
                self._blame("a pair was replaced by one asked for earlier")
        story.pair, story.refused, story.lapsed = pair, set(), []

    def _same_generation(self, story: Story, old: GrantRow, new: GrantRow) -> None:
        if (old.access_token, old.refresh_token) != (new.access_token, new.refresh_token):
            self._blame("a token changed within its generation")
        if new.claim is not None and new.claim != old.claim:
            self._claimed(story, old, new)
        elif new.claim is None and old.claim is not None:
            self._given_back(old, new)

    def _claimed(self, story: Story, old: GrantRow, new: GrantRow) -> None:
        assert new.claim is not None
        assert new.claimed is not None
        assert new.claim_until is not None
        if old.claim is not None:
            held = self.claims[old.claim]
            story.lapsed.append(held)
            if held.until >= self.time.micros:
                self._blame("a claim was taken from one who still held it")
            if not held.excuse and not self._ended_unknown(held):
                self._blame("a claim lapsed although nothing had befallen its holder")
        if old.not_before is not None and old.not_before > self.time.micros:
            self._blame("a claim was taken before the time that was set")
        self._justify(story, new)
        self.claims[new.claim] = Held(new.claim, new.id, new.generation, new.claimed, new.claim_until)

    def _justify(self, story: Story, new: GrantRow) -> None:
        """A refresh needs a reason: little life left (a third at most, ahead of time), or a token that was refused."""
        left = new.expires - self.time.micros
        if story.refused or story.lapsed or left <= self.provider.lifetime * 1e6 / 3 + 1e6:
            return
        self._blame("a fresh token that nobody refused was refreshed")

    def _given_back(self, old: GrantRow, new: GrantRow) -> None:
        request = self.request_of(old.claim or "")
        if request is None:
            return
        if not request.harmless:
            self._blame("a claim was given back although its request's end is unknown")
        wait = (new.not_before or 0) - self.time.micros
        asked = {Reply.UNAVAILABLE: 30.0, Reply.LIMITED: RETRY_AFTER, Reply.STRAY: 5.0}.get(request.heard or Reply.REAL)
        if asked is not None and wait < asked * 1e6:
            self._blame("the wait after a failure is too short")

    def _ended_unknown(self, held: Held) -> bool:
        request = self.request_of(held.owner)
        return request is not None and request.heard is Reply.SILENT

    def _lost(self, story: Story, old: GrantRow, new: GrantRow) -> None:
        if new.status == ACTIVE:
            self._blame("a lost grant came back without a new consent")
            return
        if new.access_token or new.refresh_token:
            self._blame("a lost grant kept its tokens")
        reasons = {each.reason for each in stored_connections() if each.grant_id == new.id and each.reason}
        pair, provider = story.pair, self.provider
        assert pair is not None
        if pair.family.revoked and not pair.family.reused:
            return
        refusals = [r for r in provider.requests if r.token == pair.refresh and r.heard is Reply.STRAY]
        if ANSWER_LOST in reasons:
            first = min((held.micros for held in story.lapsed), default=None)
            if old.unknown_since is None or first is None:
                self._blame("a grant was given up although no request's end was unknown")
            elif self.time.micros - first < (provider.mode.grace_seconds - 25) * 1e6:
                self._blame("a grant was given up within the grace")
        elif INVALID_GRANT in reasons and len(refusals) < 2:
            self._blame("a healthy grant was given up after a single refusal")

    def _open(self, sealed: str, purpose: str, row: GrantRow) -> str:
        return self._ring.open(sealed, context(purpose, row.id, row.generation)).get_secret_value()
