"""A tenant's burst is hot and the rest is bulk; nobody else notices, and nobody is remembered for long."""

import random
from collections import Counter

from ingress.bursts import TenantBursts
from shared.topology.lanes import Lane


class Time:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def taken(bursts: TenantBursts, tenant: str, count: int) -> Counter[Lane]:
    return Counter(bursts.lane_of_next(tenant) for _ in range(count))


def test_a_burst_is_hot_and_what_is_beyond_it_is_bulk() -> None:
    assert taken(TenantBursts(Time()), "flood", 5000) == {Lane.HOT: 100, Lane.BULK: 4900}


def test_a_flood_takes_nothing_of_anothers_burst() -> None:
    bursts = TenantBursts(Time())
    taken(bursts, "flood", 5000)
    assert taken(bursts, "quiet", 100) == {Lane.HOT: 100}


def test_a_flooding_tenant_gets_what_is_refilled_meanwhile_and_a_silent_one_a_whole_burst() -> None:
    time = Time()
    bursts = TenantBursts(time, burst=100, refill_per_second=5)
    taken(bursts, "flood", 5000)
    time.seconds += 3
    assert taken(bursts, "flood", 5000)[Lane.HOT] == 15
    time.seconds += 3600
    assert taken(bursts, "flood", 5000)[Lane.HOT] == 100


def test_a_trickle_below_the_refill_is_never_bulk() -> None:
    time = Time()
    bursts = TenantBursts(time)
    for _ in range(10_000):
        assert bursts.lane_of_next("steady") is Lane.HOT
        time.seconds += 0.21


def test_a_tenant_is_forgotten_once_its_bucket_would_be_full_and_no_sooner() -> None:
    time = Time()
    bursts = TenantBursts(time, burst=10, refill_per_second=1)
    for number in range(1000):
        bursts.lane_of_next(f"tenant-{number}")
        time.seconds += 0.01
    assert bursts.tenants == 1000
    time.seconds += 9.9
    bursts.lane_of_next("tenant-999")
    assert bursts.tenants <= 20
    time.seconds += 10
    bursts.lane_of_next("another")
    assert bursts.tenants == 1


def test_forgetting_never_gives_anyone_more_than_the_bucket_holds() -> None:
    """In any stretch of time, no tenant has more hot events than a burst and the refill of that stretch."""
    choice, time = random.Random(7), Time()
    bursts = TenantBursts(time, burst=20, refill_per_second=2)
    hot: dict[str, list[float]] = {}
    for _ in range(20_000):
        tenant = f"tenant-{int(choice.paretovariate(1)) % 50}"
        if bursts.lane_of_next(tenant) is Lane.HOT:
            hot.setdefault(tenant, []).append(time.seconds)
        time.seconds += choice.expovariate(20)
    for times in hot.values():
        for first in range(0, len(times), 7):
            for last in range(first, len(times), 5):
                assert last - first + 1 <= 20 + 2 * (times[last] - times[first]) + 1
