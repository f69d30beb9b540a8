"""Moving stored tokens to another key: up to a limit, past what is broken, from wherever it was stopped."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from shared.errors import RetryableError
from token_broker.keyring import SealBroken
from token_broker.reseal import Reseal, Resealed, SealedGrant, Tally


@dataclass
class Store:
    """Grants by the key that both their tokens were made with."""

    keys: dict[str, str]
    broken: set[str] = field(default_factory=set)
    moving: set[str] = field(default_factory=set)
    dies_after: int = 1_000_000

    async def stale(self, after: str, limit: int) -> Sequence[SealedGrant]:
        found = sorted(name for name, key in self.keys.items() if key != "new" and name > after)
        return [SealedGrant(name, 1, f"{self.keys[name]}.a", f"{self.keys[name]}.r") for name in found[:limit]]

    async def reseal(self, seen: SealedGrant) -> bool:
        if not self.dies_after:
            raise RetryableError("database_unavailable")
        if seen.id in self.broken:
            raise SealBroken("it was changed, or belongs elsewhere")
        if seen.id in self.moving:
            return False
        self.dies_after -= 1
        self.keys[seen.id] = "new"
        return True

    async def tally(self) -> Tally:
        counted = Counter(self.keys.values())
        return Tally({key: 2 * count for key, count in counted.items()}, counted.total() - counted["new"])


def store(old: int, new: int = 0) -> Store:
    return Store({f"grant-{n:04}": "old" if n < old else "new" for n in range(old + new)})


async def test_all_are_moved_in_steps_of_the_limit() -> None:
    reseal = Reseal(store(old=25, new=5))
    assert await reseal(10) == Resealed(10, 15, {"old": 30, "new": 30}, ())
    assert await reseal(10) == Resealed(10, 5, {"old": 10, "new": 50}, ())
    assert await reseal(10) == Resealed(5, 0, {"new": 60}, ())
    assert await reseal(10) == Resealed(0, 0, {"new": 60}, ())


async def test_one_call_goes_beyond_a_page() -> None:
    assert (await Reseal(store(old=350))(1000)).resealed == 350


async def test_a_call_for_none_only_counts() -> None:
    assert await Reseal(store(old=3))(0) == Resealed(0, 3, {"old": 6}, ())


async def test_broken_ones_are_named_and_stop_nobody() -> None:
    kept = store(old=250)
    kept.broken = {f"grant-{n:04}" for n in range(0, 250, 2)}
    reseal = Reseal(kept)
    assert (await reseal(100)).resealed == 100
    last = await reseal(100)
    assert (last.resealed, last.left) == (25, 0)
    assert last.broken == tuple(sorted(kept.broken))
    assert all(kept.keys[name] == "old" for name in kept.broken)


async def test_one_that_changed_meanwhile_is_left_for_the_next_call() -> None:
    kept = store(old=3)
    kept.moving = {"grant-0001"}
    reseal = Reseal(kept)
    assert await reseal(10) == Resealed(2, 1, {"old": 2, "new": 4}, ())
    kept.moving.clear()
    assert await reseal(10) == Resealed(1, 0, {"new": 6}, ())


async def test_after_a_failure_the_next_call_goes_on() -> None:
    kept = store(old=20)
    kept.dies_after = 7
    with pytest.raises(RetryableError):
        await Reseal(kept)(100)
    kept.dies_after = 100
    assert await Reseal(kept)(100) == Resealed(13, 0, {"new": 40}, ())
