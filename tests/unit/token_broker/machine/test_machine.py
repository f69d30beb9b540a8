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

INDEX = st.integers(0, 7)
FAULTS = st.sampled_from([Outcome.DONE, Outcome.LATE, Outcome.FAILED, Outcome.UNHEARD])
MOMENTS = st.sampled_from([0.5, 4.0, 6.0, 12.0, 21.0, 26.0, 31.0, 51.0])
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

    @rule(index=INDEX, tenant=st.sampled_from(sorted(TENANTS)), refuse=st.booleans(), forbidden=st.booleans())
    def ask(self, index: int, tenant: str, refuse: bool, forbidden: bool) -> None:
        self.world.ask(self._replica(index), tenant, refuse, forbidden and refuse)

    @rule(tenant=st.sampled_from(sorted(TENANTS)))
    def everybody_asks(self, tenant: str) -> None:
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

    @precondition(lambda self: self.world.effects)
    @rule(count=st.integers(1, 6))
    def let_several_happen(self, count: int) -> None:
        for _ in range(count):
            if self.world.effects:
                self.world.perform(self.world.effects[0])
                self.world.settle()

    @rule(index=INDEX, count=st.integers(1, 6))
    def let_one_go_on(self, index: int, count: int) -> None:
        name = self._replica(index).name
        for _ in range(count):
            mine = [effect for effect in self.world.effects if effect.replica == name]
            if mine:
                self.world.perform(mine[0])
                self.world.settle()

    @rule(seconds=MOMENTS, answering=st.booleans())
    def time_passes(self, seconds: float, answering: bool) -> None:
        self.world.live(seconds, answering)

    @rule(seconds=st.one_of(MOMENTS, AGES))
    def all_stand_still(self, seconds: float) -> None:
        self.world.jump(seconds)

    # The provider

    @precondition(lambda self: self.world.provider.travelling())
    @rule(index=INDEX)
    def commit(self, index: int) -> None:
        travelling = self.world.provider.travelling()
        self.world.provider.commit(travelling[index % len(travelling)])

    @precondition(lambda self: self.world.provider.travelling())
    @rule(index=INDEX, reply=st.sampled_from(Reply))
    def reply(self, index: int, reply: Reply) -> None:
        travelling = self.world.provider.travelling()
        self.world.provider.reply(travelling[index % len(travelling)], reply)

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

    @rule(index=INDEX, loop=st.sampled_from(["keeper", "ahead", "announce"]))
    def round(self, index: int, loop: str) -> None:
        replica = self._replica(index)
        self.world.round(replica, getattr(replica, loop))

    @rule(says=st.sampled_from([None, True, False]))
    def redis(self, says: bool | None) -> None:
        self.world.lock.says = says
        self.world.lock.holders.clear()

    @rule(user=st.sampled_from(USERS), revoked=st.booleans())
    def reconnect(self, user: str, revoked: bool) -> None:
        if revoked:
            self.world.provider.current(user).revoked = True
        else:
            self.world.reconnect(user)

    @rule(tenant=st.sampled_from(sorted(TENANTS)))
    def disconnect(self, tenant: str) -> None:
        listed = self.world.provider.organisations[TENANTS[tenant]]
        listed[:] = [each for each in listed if each.tenant_id != tenant]

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
