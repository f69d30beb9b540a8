"""Replicas of the token-broker made of the real use cases and the real SQL, in a world where the test decides all else.

Each replica runs in an event loop of its own over one virtual time. It runs freely between its effects (a transaction,
a lock command, a request's departure, a listing, a publish); at each of these it stops at a gate until the test lets it
through, lets it fail, or loses or delays the answer. What passes between replicas passes through effects, so the order
of effects and of the provider's own steps is the whole schedule. A killed replica's loop is never run again and its
gate is shut: not even a ``finally`` of it can write. A paused replica's loop rests until it is resumed; what it had
sent may still happen.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from shared.clients.token_broker import fingerprint
from shared.contracts import Event
from shared.contracts.connections import ConnectionLostV1
from shared.contracts.tokens import TokenAccessRequest, TokenGranted, TokenRefusal, TokenRefused
from token_broker.adapters.consent_store import SqlConsents
from token_broker.links import Link
from token_broker.ports import Organisation
from token_broker.tables import ACTIVE, CONNECTED
from token_broker.timing import RefreshTiming
from unit.token_broker.machine.gates import Effect, OpenGate, Outcome
from unit.token_broker.machine.ledger import Ledger
from unit.token_broker.machine.provider import Mode, Provider, Reply
from unit.token_broker.machine.records import MemoryDatabase, forget_everything, moment, stored_connections
from unit.token_broker.machine.replica import Call, Lock, Replica, ring
from unit.token_broker.machine.stepped_loop import VirtualTime

TENANTS = {"acme": "user-1", "arco": "user-1", "brio": "user-2"}
USERS = ("user-1", "user-2")


@dataclass
class World:
    mode: Mode
    chances: tuple[float, ...]
    lifetime: float = 1800.0
    violations: list[str] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    published: list[Event] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    graves: list[Replica] = field(default_factory=list)
    handed_out: dict[str, str] = field(default_factory=dict)
    lives: int = 0
    consents: int = 0

    def __post_init__(self) -> None:
        forget_everything()
        self.time = VirtualTime()
        self.timing = RefreshTiming(poll_seconds=1.0, grace_seconds=self.mode.grace_seconds)
        self.provider = Provider(self.time, self.mode, self.timing, self.blame)
        self.provider.lifetime = self.lifetime
        self.ledger = Ledger(self.time, self.provider, ring(), self.blame)
        self.lock = Lock(self.time, self.timing.lock_seconds)
        self._admin = SqlConsents(MemoryDatabase(self.time, OpenGate(), self.ledger.look, lambda: None), ring())
        for user in USERS:
            self.provider.organisations[user] = [Organisation(t, t.title()) for t, u in TENANTS.items() if u == user]
            self.reconnect(user)
        self.replicas = [self._replica(chance) for chance in self.chances]

    def blame(self, what: str) -> None:
        self.violations.append(what)

    def complain(self) -> None:
        """Raises:
        AssertionError: something was seen that must never be.
        """
        if self.violations:
            raise AssertionError("; ".join(dict.fromkeys(self.violations)))

    def _replica(self, chance: float) -> Replica:
        self.lives += 1
        return Replica(self, f"replica{self.lives}", chance)

    # What people do

    def reconnect(self, user: str) -> None:
        """The user goes through the consent again, and connects all organisations."""
        self.consents += 1
        wanted = [Organisation(tenant, tenant.title()) for tenant, owner in TENANTS.items() if owner == user]
        self.provider.organisations[user] = wanted
        issued = self.provider.consent(user)
        link = Link(f"nonce-{self.consents}", moment(self.time).replace(year=2030))
        at_once(self._consent(link, user, issued))

    async def _consent(self, link: Link, user: str, issued: Any) -> None:
        state = await self._admin.open(link, f"state-{self.consents}", 3600)
        assert state is not None
        consent = await self._admin.begin(state, "admin", 60)
        organisations = self.provider.organisations[user]
        await self._admin.complete(consent, user, self.provider.pair(issued), organisations)

    # What the replicas do

    def ask(self, replica: Replica, tenant_id: str, refuse: bool, forbidden: bool) -> Call:
        token = self.handed_out.get(tenant_id) if refuse else None
        refused = fingerprint(SecretStr(token)) if token else None
        if token is not None:
            grant_id, generation = self.ledger.committed[token]
            story = self.ledger.stories[grant_id]
            if story.row is not None and story.row.generation == generation:
                story.refused.add(token)
        request = TokenAccessRequest(tenant_id=tenant_id, refused=refused, forbidden=forbidden)
        call = Call(replica, tenant_id, refused, replica.loop.begin(replica.hand_out(request)))
        self.calls.append(call)
        return call

    def round(self, replica: Replica, work: Callable[[], Any]) -> None:
        replica.loop.begin(work())

    def perform(self, effect: Effect, outcome: Outcome = Outcome.DONE) -> None:
        """Let one effect happen. One of a paused replica happens too, and is heard of when that goes on."""
        if effect in self.effects:
            self.effects.remove(effect)
        replica = next(each for each in self.replicas if each.name == effect.replica)
        if not effect.turn.done():
            effect.turn.set_result(outcome)
        if replica.paused:
            self.ledger.excuse("its holder was paused", replica.name)

    def bring(self, replica: Replica, place: str) -> Effect | None:
        """Let one replica go on until it is about to do this, the provider answering; None when it never is."""
        for _ in range(30):
            self.settle()
            mine = [effect for effect in self.effects if effect.replica == replica.name]
            if mine and mine[0].label == place:
                return mine[0]
            if mine:
                self.perform(mine[0])
            elif travelling := self.provider.travelling():
                self.provider.reply(travelling[0], Reply.REAL)
            else:
                return None
        return None

    def kill(self, index: int) -> None:
        replica = self.replicas[index]
        self.ledger.excuse("its holder was killed", replica.name)
        replica.gate.shut_for_good()
        self.graves.append(replica)
        self.calls = [call for call in self.calls if call.replica is not replica]
        self.replicas[index] = self._replica(self.chances[index])

    def pause(self, replica: Replica) -> None:
        replica.paused = True
        self.ledger.excuse("its holder was paused", replica.name)

    # How time passes

    def settle(self) -> bool:
        busy = False
        for replica in self.replicas:
            if not replica.paused:
                busy |= replica.loop.settle()
        self._hear()
        return busy

    def jump(self, seconds: float) -> None:
        """All stood still for that long."""
        if seconds >= 1:
            self.ledger.excuse("everything stood still")
        self.time.advance(seconds)
        self.settle()

    def live(self, seconds: float, answering: bool) -> None:
        """Time passes as it should: effects happen at once, timers ring when they are due."""
        until = self.time.micros + round(seconds * 1e6)
        for _ in range(5_000):
            self.settle()
            effects = [each for each in self.effects if not self._is_paused(each)]
            travelling = self.provider.travelling() if answering else []
            if effects:
                self.perform(effects[0])
            elif travelling:
                self.provider.reply(travelling[0], Reply.REAL)
            elif self.time.micros >= until:
                return
            else:
                timers = [replica.loop.next_timer() for replica in self.replicas if not replica.paused]
                soonest = min((round(each * 1e6) for each in timers if each is not None), default=until)
                self.time.micros = max(self.time.micros, min(soonest, until))
        self.blame("the replicas never came to rest")

    def _is_paused(self, effect: Effect) -> bool:
        return any(each.paused and each.name == effect.replica for each in self.replicas)

    def _hear(self) -> None:
        for call in [each for each in self.calls if each.task.done()]:
            self.calls.remove(call)
            if call.task.cancelled():
                if not call.left:
                    self.blame("a caller's question was cancelled")
            elif (error := call.task.exception()) is not None:
                self.blame(f"a question ended in {error!r}")
            else:
                self._judge(call, call.task.result())

    def _judge(self, call: Call, answer: TokenGranted | TokenRefused) -> None:
        if isinstance(answer, TokenRefused):
            if answer.reason is TokenRefusal.UNKNOWN_TENANT:
                self.blame("a known tenant was called unknown")
            return
        token = answer.access_token.get_secret_value()
        self.handed_out[call.tenant_id] = token
        if token not in self.ledger.committed:
            self.blame("a token was given that is not stored")
        elif self.ledger.committed[token][0] != TENANTS[call.tenant_id]:
            self.blame("a token of another grant was given")
        if fingerprint(answer.access_token) == call.refused:
            self.blame("the refused token was given again")

    # How it ends

    def come_to_rest(self) -> None:
        """Everything works again and enough time passes; then every grant is usable, or lost and told of."""
        self.lock.says = None
        self.lock.holders.clear()
        for replica in self.replicas:
            replica.paused = False
        self.live(30, answering=True)
        for _ in range(2):
            self.jump(430)
            self._rounds()
        if any(story.row is not None and story.row.claim for story in self.ledger.stories.values()):
            self.blame("a claim that lapsed was never settled")
        self.jump(self.provider.lifetime)
        self._ask_all()
        self._rounds()
        answers = self._ask_all()
        if self.calls:
            self.blame("a caller was never answered")
        for user in USERS:
            self._judge_rest(user)
        for each in stored_connections():
            usable = isinstance(answers.get(each.tenant_id), TokenGranted)
            if usable is not (each.status == CONNECTED):
                self.blame("an organisation has neither a fresh token nor is known to be lost")

    def _ask_all(self) -> dict[str, TokenGranted | TokenRefused]:
        """What each organisation's caller hears in the end."""
        calls = [self.ask(self.replicas[-1], tenant_id, refuse=False, forbidden=False) for tenant_id in TENANTS]
        self.live(12, answering=True)
        return {call.tenant_id: call.task.result() for call in calls if call.task.done() and not call.task.exception()}

    def _rounds(self) -> None:
        for replica in self.replicas[:2]:
            for work in (replica.settle, replica.look, replica.announce):
                self.round(replica, work)
                self.live(15, answering=True)

    def _judge_rest(self, user: str) -> None:
        row = self.ledger.stories[user].row
        assert row is not None
        mine = [each for each in stored_connections() if each.grant_id == user]
        if any(each.announced_at is None for each in mine):
            self.blame("a change of a connection was never told")
        told = {event.tenant_id for event in self.published if isinstance(event, ConnectionLostV1)}
        if any(each.status != CONNECTED and each.tenant_id not in told for each in mine):
            self.blame("a lost connection was never told")
        if row.claim is not None:
            self.blame("a claim stays for ever")
        if row.status != ACTIVE:
            if any(each.status == CONNECTED for each in mine):
                self.blame("a connection of a lost grant counts as connected")
        elif self.provider.current(user).revoked and any(each.status == CONNECTED for each in mine):
            self.blame("a revoked grant was never found out")

    def bury(self) -> None:
        for replica in (*self.replicas, *self.graves):
            replica.gate.shut = True
            replica.loop.bury()


def at_once(work: Any) -> None:
    """Run a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")
