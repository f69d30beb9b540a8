"""A tenant that Xero fails is let be for ever longer; whose work stands keeps to its share."""

import asyncio
from itertools import pairwise

import pytest

from fetcher.gatherer import Gatherer
from fetcher.ports import Cut
from fetcher.shares import TenantShares
from fetcher.troubles import LONGEST_SECONDS, SLOW_SECONDS, Troubles
from shared.errors import RetryableError
from unit.fetcher.samples import TENANT


class Rig:
    def __init__(self, chance: float = 0.0) -> None:
        self.now = 0.0
        self.troubles = Troubles(lambda: self.now, lambda: chance)

    def fault(self, first_seconds: float = 1.0) -> tuple[float, bool]:
        self.now += 400
        with self.troubles.calling(TENANT) as began:
            fault = self.troubles.fault(TENANT, began, first_seconds)
        return fault.seconds, fault.repeated


def test_the_pause_doubles_until_something_is_answered() -> None:
    rig = Rig()
    assert [rig.fault() for _ in range(4)] == [(1, False), (2, True), (4, True), (8, True)]
    rig.troubles.answered(TENANT)
    assert rig.fault() == (1, False)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_the_pause_has_a_bound_and_replicas_come_back_apart(chance: float) -> None:
    rig = Rig(chance)
    pauses = [rig.fault(10)[0] for _ in range(40)]
    assert all(earlier <= later for earlier, later in pairwise(pauses))
    assert pauses[0] == 10 * (1 + chance / 4)
    assert LONGEST_SECONDS * 0.8 <= pauses[-1] <= LONGEST_SECONDS


def test_calls_that_fail_together_count_as_one() -> None:
    rig = Rig()
    with rig.troubles.calling(TENANT) as first, rig.troubles.calling(TENANT) as second:
        rig.now += 30
        faults = [rig.troubles.fault(TENANT, began, 10) for began in (first, second)]
    assert [(fault.seconds, fault.repeated) for fault in faults] == [(10, False)] * 2


def test_a_tenants_work_stands_while_it_is_held_or_its_call_is_slow() -> None:
    rig = Rig()
    assert rig.troubles.rest(TENANT) is None
    with rig.troubles.calling(TENANT):
        assert rig.troubles.rest(TENANT) is None
        rig.now += SLOW_SECONDS + 1
        assert rig.troubles.rest(TENANT) == 0
    assert rig.troubles.rest(TENANT) is None
    rig.troubles.held(TENANT, 40)
    rig.now += 10
    assert rig.troubles.rest(TENANT) == 30
    rig.now += 30
    assert rig.troubles.rest(TENANT) is None


async def test_a_flood_that_goes_on_has_no_bound_and_one_that_stands_has() -> None:
    rig = Rig()
    shares = TenantShares(1, rig.troubles.rest)
    async with shares.place(TENANT), shares.place(TENANT):
        rig.troubles.held(TENANT, 40)
        with pytest.raises(RetryableError, match="tenant_crowded") as refused:
            async with shares.place(TENANT):
                pass
        assert (refused.value.retry_after, refused.value.counts) == (15, False)
        async with shares.place("quiet"):
            pass


async def test_two_thousand_events_that_time_out_leave_the_lane_to_others() -> None:
    """150 places in order, as in the bulk lane; a call that times out takes a tenth of a second."""
    troubles, quiet_at = Troubles(), -1.0
    shares, places, calls = TenantShares(100, troubles.rest), asyncio.Semaphore(150), 0

    async def read(tenant_id: str, cut: Cut) -> dict[str, str | Exception]:
        nonlocal calls
        ids = cut()
        calls += tenant_id == "failing"
        if tenant_id == "failing":
            await asyncio.sleep(0.1)
            troubles.held(tenant_id, 300)
            raise RetryableError("xero_timeout")
        return {identifier: identifier for identifier in ids}

    gatherer = Gatherer[str](read, linger_seconds=0, pause_seconds=0)

    async def handle(tenant_id: str, identifier: str) -> None:
        nonlocal quiet_at
        try:
            async with shares.place(tenant_id):
                await gatherer.load(tenant_id, identifier)
            quiet_at = calls
        except RetryableError:
            pass
        finally:
            places.release()

    tasks = []
    for tenant_id, identifier in [*(("failing", str(number)) for number in range(2000)), ("quiet", "one")]:
        await places.acquire()
        tasks.append(asyncio.create_task(handle(tenant_id, identifier)))
    await asyncio.gather(*tasks)
    await gatherer.close()
    # The failing tenant's first batches, and none of the forty that it has.
    assert 0 <= quiet_at <= 4
