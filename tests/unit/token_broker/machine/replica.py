"""One replica: the real use cases and the real SQL, with everything outside of it in the hands of the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, cast

from pydantic import SecretStr

from shared.clients.token_broker import fingerprint
from shared.contracts import Event
from shared.errors import PublishFailed
from shared.telemetry.correlation import correlated
from token_broker.adapters.connection_store import SqlConnections
from token_broker.adapters.grant_store import SqlGrants
from token_broker.ahead import RefreshAhead
from token_broker.announce import Announcer
from token_broker.handout import HandOut
from token_broker.keeper import Keeper
from token_broker.keyring import KeyRing
from token_broker.links import LinkSigner
from token_broker.ports import Claim, Grant, Identity, TokenPair
from token_broker.reconcile import Reconcile
from token_broker.refresh import Refresher
from token_broker.timing import Pacing, RefreshTiming
from unit.token_broker.machine.gates import Effect, Outcome, ReplicaGate
from unit.token_broker.machine.ledger import Ledger
from unit.token_broker.machine.provider import Provider, ProviderClient
from unit.token_broker.machine.records import MemoryDatabase, micros, moment
from unit.token_broker.machine.stepped_loop import SteppedLoop, VirtualTime

RING = "k1:" + "A" * 43 + "="


@lru_cache
def links() -> LinkSigner:
    return LinkSigner("https://broker.test/connect", SecretStr("an admin secret for tests"))


@lru_cache
def ring() -> KeyRing:
    return KeyRing.parse(RING)


class Lock:
    """Redis as it may be: honest, wiped, or wrong in either way."""

    def __init__(self, time: VirtualTime, life_seconds: float) -> None:
        self._time = time
        self._life = round(life_seconds * 1e6)
        self.says: bool | None = None
        self.holders: dict[str, tuple[str, int]] = {}

    def acquire(self, key: str, owner: str) -> bool:
        if self.says is not None:
            return self.says
        held = self.holders.get(key)
        if held is not None and held[1] > self._time.micros:
            return False
        self.holders[key] = (owner, self._time.micros + self._life)
        return True

    def release(self, key: str, owner: str) -> None:
        if self.holders.get(key, ("", 0))[0] == owner:
            del self.holders[key]


class Surroundings(Protocol):
    """What all replicas share."""

    time: VirtualTime
    timing: RefreshTiming
    provider: Provider
    ledger: Ledger
    lock: Lock
    effects: list[Effect]
    published: list[Event]

    def blame(self, what: str) -> None: ...


class LockClient:
    def __init__(self, lock: Lock, gate: ReplicaGate, name: str) -> None:
        self._lock, self._gate, self._name, self._count = lock, gate, name, 0

    @asynccontextmanager
    async def hold(self, grant_id: str) -> AsyncIterator[bool]:
        self._count += 1
        owner = f"{self._name}-{self._count}"
        outcome = await self._gate("lock")
        ours = True if outcome is Outcome.FAILED else self._lock.acquire(grant_id, owner)
        if outcome is Outcome.UNHEARD:
            ours = True
        try:
            yield ours
        finally:
            if ours and await self._gate("unlock") is not Outcome.FAILED:
                self._lock.release(grant_id, owner)


class Figures:
    """Hears what each answer was decided on, and of tasks that broke."""

    def __init__(self, world: Surroundings) -> None:
        self._world = world

    def answered(self, tenant_id: str, outcome: str, grant: Grant | None = None) -> None:
        if outcome != "granted" or grant is None:
            return
        world, at = self._world, micros(grant.read_at)
        if world.ledger.generation_at(grant.id, at) != grant.generation:
            world.blame("a token was given that was not the newest stored when it was decided on")
        if (grant.expires_at - grant.read_at).total_seconds() <= 0:
            world.blame("a token without life was given")

    def refresh_failed(self, grant_id: str, outcome: str, reason: str) -> None:
        if outcome == "broken" and reason != "RetryableError":
            self._world.blame(f"a flight broke: {reason}")

    def refreshed(self, grant_id: str, generation: int, seconds: float, *, recovered: bool = False) -> None: ...

    def grant_lost(self, grant_id: str, reason: str) -> None: ...

    def connection_changed(self, tenant_id: str, grant_id: str, change: str) -> None: ...

    def look_failed(self, grant_id: str, reason: str) -> None:
        if reason == "seal_broken":
            self._world.blame("a stored token did not open")

    def consented(self, outcome: str, organisations: int = 0) -> None: ...

    def untold(self, reason: str) -> None: ...


class Events:
    def __init__(self, world: Surroundings, gate: ReplicaGate) -> None:
        self._world, self._gate = world, gate

    async def publish(self, event: Event, *, deadline: float | None = None) -> None:
        outcome = await self._gate("publish")
        if outcome is not Outcome.FAILED:
            self._world.published.append(event)
        if outcome in {Outcome.FAILED, Outcome.UNHEARD}:
            raise PublishFailed("publish_unconfirmed")


class WatchedGrants(SqlGrants):
    """Names its turning points, and remembers which claim covers which token, to hold a request against its claim."""

    def __init__(self, database: MemoryDatabase, replica: "Replica") -> None:
        super().__init__(database, ring(), replica.world.timing)
        self._memory = database
        self._replica = replica

    async def claim(self, seen: Grant, owner: str, life_seconds: float) -> Claim | None:
        self._memory.label = "claim"
        claim = await super().claim(seen, owner, life_seconds)
        if claim is not None:
            held = self._replica.world.ledger.claims[owner]
            self._replica.claims[claim.refresh_token.get_secret_value()] = (claim, held.micros, held.until)
        return claim

    async def renew(self, claim: Claim, pair: TokenPair, *, rest_seconds: float) -> bool:
        self._memory.label = "store"
        return await super().renew(claim, pair, rest_seconds=rest_seconds)


@dataclass(eq=False)
class Call:
    """One caller's question."""

    replica: "Replica"
    tenant_id: str
    refused: str | None
    task: "asyncio.Task[Any]"
    left: bool = False


class Replica:
    def __init__(self, world: Surroundings, name: str, chance: float) -> None:
        self.world, self.name = world, name
        self.paused = False
        self.claims: dict[str, tuple[Claim, int, int]] = {}
        self.loop = SteppedLoop(world.time, world.blame)
        self.gate = ReplicaGate(name, world.effects)
        self._owners = 0
        timing = world.timing
        pacing = Pacing(timing, self.loop.time, asyncio.sleep, lambda: chance)
        database = MemoryDatabase(world.time, self.gate, world.ledger.look, self._fault)
        grants, connections, figures = WatchedGrants(database, self), SqlConnections(database), Figures(world)
        identity = cast(
            Identity, ProviderClient(world.provider, self.gate, timing.deadline_seconds, self.claims.__getitem__)
        )
        self.announce = Announcer(
            connections, Events(world, self.gate), links(), figures, lambda: moment(world.time), correlated
        )
        refresher = Refresher(
            grants,
            identity,
            LockClient(world.lock, self.gate, name),
            figures,
            self.announce,
            pacing=pacing,
            new_owner=self._new_owner,
        )
        reconcile = Reconcile(connections, identity, figures, self.announce, pacing)
        self.ahead = RefreshAhead(refresher, pacing)
        keeper = Keeper(grants, refresher, reconcile, figures, pacing)
        self.settle, self.look = keeper.settle, keeper.look
        self.hand_out = HandOut(
            grants, refresher, reconcile, self.ahead, figures, pacing=pacing, fingerprint=fingerprint
        )

    def _new_owner(self) -> str:
        self._owners += 1
        return f"{self.name}-{self._owners}"

    def _fault(self) -> None:
        self.world.ledger.excuse("the database did not answer", self.name)
