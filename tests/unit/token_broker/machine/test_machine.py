"""Searches for a schedule of replicas, faults and time in which the token-broker errs.

The rules below are what may happen next; after each of them, and at the end when everything works again, nothing may be
found that the provider double, the ledger or the callers object to.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from support.sizes import rounds
from unit.token_broker.machine.gates import Outcome
from unit.token_broker.machine.provider import Mode, Reply
from unit.token_broker.machine.world import TENANTS, USERS, World

TENANT = st.sampled_from(sorted(TENANTS))
USER = st.sampled_from(USERS)
PLACES = st.sampled_from(["claim", "send", "store", "unlock", "publish"])
INDEX = st.integers(0, 7)
FAULTS = st.sampled_from([Outcome.DONE, Outcome.LATE, Outcome.FAILED, Outcome.UNHEARD])
MOMENTS = st.sampled_from([0.5, 4.0, 6.0, 12.0, 21.0, 26.0, 31.0, 51.0])
OUTSIDE = st.sampled_from(["wiped", "always free", "always held", "revoked", "reconnected", "disconnected"])
ACCIDENTS = st.sampled_from(
    ["nothing", "killed", "killed after it", "paused", "paused after it", "stalled after it", "hung past its claim"]
)
STALLS = st.sampled_from([0.0, 0.0, 0.0, 21.0, 51.0])
AGES = st.sampled_from([120.0, 310.0, 1250.0, 1700.0, 1760.0, 1800.0, 4000.0])


class TokenBroker(RuleBasedStateMachine):
    world: World

    @initialize(
        mode=st.sampled_from(Mode),
        chances=st.lists(st.sampled_from([0.0, 0.5, 0.99]), min_size=1, max_size=3),
        lifetime=st.sampled_from([1800.0, 1800.0, 60.0]),
        age=st.sampled_from([0.0, 1400.0, 1790.0, 1800.0]),
    )
    def begin(self, mode: Mode, chances: list[float], lifetime: float, age: float) -> None:
        self.world = World(mode, tuple(chances), lifetime)
        self.world.jump(age)

    def _replica(self, index: int) -> Any:
        return self.world.replicas[index % len(self.world.replicas)]

    # Callers

    @rule(index=INDEX, tenant=TENANT, refuse=st.booleans(), forbidden=st.booleans())
    def ask(self, index: int, tenant: str, refuse: bool, forbidden: bool) -> None:
        self.world.ask(self._replica(index), tenant, refuse, forbidden and refuse)

    @rule(tenant=TENANT)
    def it_expires_and_everybody_asks(self, tenant: str) -> None:
        self._expire(tenant)
        for replica in self.world.replicas:
            self.world.ask(replica, tenant, refuse=False, forbidden=False)

    @precondition(lambda self: self.world.calls)
    @rule(index=INDEX)
    def leave(self, index: int) -> None:
        call = self.world.calls[index % len(self.world.calls)]
        call.left = True
        call.task.cancel()

    # Effects and time

    @precondition(lambda self: self.world.effects)
    @rule(index=INDEX, outcome=FAULTS)
    def let_happen(self, index: int, outcome: Outcome) -> None:
        self.world.perform(self.world.effects[index % len(self.world.effects)], outcome)

    @rule(index=INDEX, tenant=TENANT, place=PLACES, then=ACCIDENTS)
    def an_accident_at(self, index: int, tenant: str, place: str, then: str) -> None:
        """Somebody asks for an expired token; just before the refresh takes this step, that happens."""
        world, number = self.world, index % len(self.world.replicas)
        replica = world.replicas[number]
        self._expire(tenant)
        world.ask(replica, tenant, refuse=False, forbidden=False)
        effect = world.bring(replica, place)
        if effect is None or then == "nothing":
            return
        if then in {"killed after it", "stalled after it", "paused after it"}:
            world.perform(effect)
        if then.startswith("killed"):
            world.kill(number)
        elif then.startswith("paused"):
            world.pause(replica)
        elif then.startswith("stalled"):
            world.jump(35)
        else:
            world.pause(replica)
            world.jump(51)

    def _expire(self, tenant: str) -> None:
        row = self.world.ledger.stories[TENANTS[tenant]].row
        self.world.jump(max(row.expires - self.world.time.micros, 0) / 1e6 if row else 0)

    @precondition(lambda self: self.world.effects)
    @rule(index=INDEX, seconds=MOMENTS, heard=st.booleans())
    def let_happen_late(self, index: int, seconds: float, heard: bool) -> None:
        """All stand still just before an effect, or between it and its being heard of."""
        effect = self.world.effects[index % len(self.world.effects)]
        if heard:
            self.world.perform(effect)
            self.world.jump(seconds)
        else:
            self.world.jump(seconds)
            if effect in self.world.effects:
                self.world.perform(effect)

    @rule(seconds=MOMENTS, answering=st.booleans())
    def time_passes(self, seconds: float, answering: bool) -> None:
        self.world.live(seconds, answering)

    @rule(seconds=st.one_of(MOMENTS, AGES))
    def all_stand_still(self, seconds: float) -> None:
        self.world.jump(seconds)

    @precondition(lambda self: any(story.lapsed or story.row.claim for story in self.world.ledger.stories.values()))
    @rule(before=st.sampled_from([0.5, 20.0, 30.0]), user=USER)
    def the_grace_is_nearly_over(self, before: float, user: str) -> None:
        """Until shortly before a request with the same token would be too late."""
        row = self.world.ledger.stories[user].row
        since = row and (row.unknown_since or row.claimed)
        if since is not None:
            last = since / 1e6 + self.world.mode.grace_seconds - 25 - before
            self.world.jump(max(last - self.world.time.seconds(), 0))

    # The provider

    @precondition(lambda self: self.world.provider.travelling())
    @rule(index=INDEX)
    def commit(self, index: int) -> None:
        travelling = self.world.provider.travelling()
        self.world.provider.commit(travelling[index % len(travelling)])

    @precondition(lambda self: self.world.provider.travelling())
    @rule(index=INDEX, reply=st.sampled_from(Reply), stall=STALLS)
    def reply(self, index: int, reply: Reply, stall: float) -> None:
        travelling = self.world.provider.travelling()
        self.world.provider.reply(travelling[index % len(travelling)], reply)
        self.world.jump(stall)

    @precondition(lambda self: self.world.provider.travelling())
    @rule(index=INDEX, committed=st.booleans())
    def lose(self, index: int, committed: bool) -> None:
        request = self.world.provider.travelling()[index % len(self.world.provider.travelling())]
        if committed:
            self.world.provider.commit(request)
        self.world.provider.lose(request)

    # Replicas, Redis and people

    @rule(index=INDEX)
    def kill(self, index: int) -> None:
        self.world.kill(index % len(self.world.replicas))

    @rule(index=INDEX)
    def pause(self, index: int) -> None:
        self.world.pause(self._replica(index))

    @precondition(lambda self: any(each.paused for each in self.world.replicas))
    @rule()
    def resume(self) -> None:
        next(each for each in self.world.replicas if each.paused).paused = False

    @rule(index=INDEX, loop=st.sampled_from(["settle", "look", "ahead", "announce"]))
    def round(self, index: int, loop: str) -> None:
        replica = self._replica(index)
        self.world.round(replica, getattr(replica, loop))

    @rule(
        what=st.sampled_from(["wiped", "always free", "always held", "revoked", "reconnected", "disconnected"]),
        user=USER,
    )
    def from_outside(self, what: str, user: str) -> None:
        """To Redis, or by a person."""
        world = self.world
        if what == "revoked":
            world.provider.current(user).revoked = True
        elif what == "reconnected":
            world.reconnect(user)
        elif what == "disconnected":
            del world.provider.organisations[user][:1]
        else:
            world.lock.says = {"always free": True, "always held": False}.get(what)
            world.lock.holders.clear()

    @invariant()
    def nothing_is_wrong(self) -> None:
        if hasattr(self, "world"):
            self.world.settle()
            self.world.complain()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if not self.world.violations:
                self.world.come_to_rest()
                self.world.complain()
        finally:
            self.world.bury()


@pytest.mark.timeout(600)
def test_no_schedule_is_found_in_which_the_token_broker_errs() -> None:
    run_state_machine_as_test(
        TokenBroker,
        settings=settings(
            max_examples=rounds(2000, 150),
            stateful_step_count=40,
            derandomize=rounds(0, 1) == 1,
            database=None,
            deadline=None,
            print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )
