"""A change of keys: the new one takes over under load, however often it is interrupted."""

import asyncio
import base64
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from support.sealed import BOTH, KEYS, NEW, OLD, OLD_FIRST, Store, migrated, name_of, opened, pair, sealed, secret
from support.sizes import rounds
from token_broker.adapters.sealed_store import SqlSealedGrants
from token_broker.adapters.transactions import Database
from token_broker.keyring import KeyRing, key_id
from token_broker.reseal import Reseal, Resealed, SealedGrant

pytestmark = pytest.mark.integration


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with migrated(database_url) as found:
        yield found


@dataclass
class Readers:
    """Replicas that never stop handing out."""

    store: Store
    count: int
    reads: int = 0
    failures: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def reading(self, readers: int = 3) -> AsyncIterator["Readers"]:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(self._read(random.Random(seed), stop)) for seed in range(readers)]
        try:
            yield self
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def _read(self, rng: random.Random, stop: asyncio.Event) -> None:
        while not stop.is_set():
            grant_id = name_of(rng.randrange(self.count))
            try:
                grant = await self.store.grants(BOTH).read(grant_id)
                right = grant is not None and grant.access_token == secret("access", grant_id, grant.generation)
                self.failures += [] if right else [f"{grant_id}: another token"]
            except Exception as error:
                self.failures.append(f"{grant_id}: {error!r}")
            self.reads += 1


@dataclass
class Watched(SqlSealedGrants):
    """Does something just before the ``at``-th change."""

    database: Database
    at: int
    then: Callable[[SealedGrant], Awaitable[None]]
    seen: int = 0

    def __post_init__(self) -> None:
        super().__init__(self.database, BOTH)

    async def reseal(self, seen: SealedGrant) -> bool:
        self.seen += 1
        if self.seen == self.at:
            await self.then(seen)
        return await super().reseal(seen)


async def cancelled_after(store: Store, changes: int, pauses: int) -> None:
    """Reseal in this process until it is cancelled, somewhere within a change."""
    reached = asyncio.Event()

    async def then(_: SealedGrant) -> None:
        reached.set()

    task = asyncio.create_task(Reseal(Watched(store.database, changes, then))(10_000))
    await reached.wait()
    for _ in range(pauses):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


RESEALING = """
import asyncio, base64, os, sys
from shared.runtime.clock import utc_now
from shared.runtime.database import create_engine
from token_broker.adapters.sealed_store import SqlSealedGrants
from token_broker.adapters.transactions import Database
from token_broker.keyring import KeyRing
from token_broker.reseal import Reseal

async def main():
    ring = KeyRing.parse(os.environ["RING"])
    reseal = Reseal(SqlSealedGrants(Database(create_engine(os.environ["URL"]), utc_now), ring))
    while (await reseal(1)).left:
        print("one", flush=True)

asyncio.run(main())
"""


async def killed_after(url: str, changes: int, seconds: float) -> None:
    """Reseal in a process of its own until SIGKILL, at any point of a change."""
    ring = ",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in KEYS.items())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RESEALING, env={"RING": ring, "URL": url}, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    for _ in range(changes):
        assert await process.stdout.readline() == b"one\n"
    await asyncio.sleep(seconds)
    process.kill()
    await process.communicate()
    assert process.returncode == -9


@pytest.mark.timeout(300)
async def test_a_new_key_takes_over_under_load_however_often_it_is_interrupted(store: Store, database_url: str) -> None:
    count, rng = rounds(1000, 150), random.Random(6)
    await store.fill(count, OLD)
    left = count
    async with AsyncExitStack() as stack:
        readers = await stack.enter_async_context(
            Readers(await stack.enter_async_context(opened(database_url)), count).reading()
        )
        for interruption in range(10):
            changes = rng.randint(1, count // 15)
            if interruption % 2:
                await killed_after(database_url, changes, rng.uniform(0, 0.01))
            else:
                await cancelled_after(store, changes, rng.randrange(40))
            now = (await Reseal(SqlSealedGrants(store.database, BOTH))(0)).left
            assert 0 < now <= left - changes + 1, "an interruption came too early or too late to show anything"
            left = now
        reseal = Reseal(SqlSealedGrants(store.database, BOTH))
        last = await reseal(left)
        while last.left:
            last = await reseal(100)
    assert readers.failures == []
    assert readers.reads > count / 10
    assert last.by_key == {"new": 2 * count}
    assert await store.opened_by(NEW) == 2 * count
    assert await store.opened_by(OLD) == 0


@pytest.mark.parametrize("ring", [BOTH, OLD_FIRST], ids=["by a new replica", "by an old replica"])
async def test_a_refresh_between_look_and_change_wins(store: Store, ring: KeyRing) -> None:
    await store.fill(3, OLD)

    async def then(seen: SealedGrant) -> None:
        assert await store.renew(seen.id, ring)

    assert (await Reseal(Watched(store.database, 2, then))(10)).resealed == 2
    assert (await store.rows())[name_of(1)]["generation"] == 2
    assert await store.access_token(name_of(1)) == secret("access", name_of(1), 2)
    assert (await Reseal(SqlSealedGrants(store.database, BOTH))(10)).left == 0
    assert await store.refresh_token(name_of(1), NEW) == secret("refresh", name_of(1), 2)


async def test_what_is_forgotten_between_look_and_change_stays_forgotten(store: Store) -> None:
    await store.fill(3, OLD)

    async def then(seen: SealedGrant) -> None:
        await store.put(seen.id, access_token="", refresh_token="")

    last = await Reseal(Watched(store.database, 2, then))(10)
    assert last == Resealed(2, 0, {"new": 4}, ())
    row = (await store.rows())[name_of(1)]
    assert (row["access_token"], row["refresh_token"]) == ("", "")


async def test_refreshes_that_race_with_a_change_of_keys_lose_no_pair(store: Store, database_url: str) -> None:
    count, rng = rounds(200, 60), random.Random(7)
    await store.fill(count, OLD)

    async def refresh(others: Store, numbers: Sequence[int]) -> None:
        for number in numbers:
            assert await others.renew(name_of(number), rng.choice([BOTH, OLD_FIRST]))

    async with opened(database_url) as others:
        numbers = rng.sample(range(count), count)
        reseal = Reseal(SqlSealedGrants(store.database, BOTH))
        await asyncio.gather(*(refresh(others, numbers[start::3]) for start in range(3)), reseal(count))
    while (await reseal(count)).left:
        pass
    assert {row["generation"] for row in (await store.rows()).values()} == {2}
    assert await store.opened_by(NEW) == 2 * count


async def test_a_claim_taken_before_the_change_is_renewed_after_it(store: Store) -> None:
    await store.fill(1, OLD)
    grant = await store.grants().read(name_of(0))
    assert grant is not None
    claim = await store.grants().claim(grant, "owner", 60)
    assert claim is not None
    assert (await Reseal(SqlSealedGrants(store.database, BOTH))(1)).resealed == 1
    assert await store.grants().renew(claim, pair(name_of(0), 2), rest_seconds=0)
    assert await store.opened_by(NEW) == 2


async def test_damaged_rows_are_named_untouched_and_in_nobodys_way(store: Store) -> None:
    await store.fill(6, OLD)
    first, other = (await store.rows())[name_of(0)], (await store.rows())[name_of(5)]
    damaged = {
        name_of(0): {"refresh_token": first["refresh_token"].replace(".", "/")},
        name_of(2): {"access_token": other["access_token"]},
        name_of(3): {"refresh_token": "OLD." + first["refresh_token"].partition(".")[2]},
    }
    for grant_id, values in damaged.items():
        await store.put(grant_id, **values)
    before = await store.rows()
    last = await Reseal(SqlSealedGrants(store.database, BOTH))(10)
    assert last == Resealed(3, 0, {"new": 6, "old": 4, "OLD": 1, "?": 1}, tuple(sorted(damaged)))
    after = await store.rows()
    assert {grant_id for grant_id in before if after[grant_id] == before[grant_id]} == damaged.keys()


async def test_a_grant_with_one_old_token_is_changed_and_an_empty_one_is_not(store: Store) -> None:
    await store.fill(3, NEW)
    await store.put(name_of(0), access_token=sealed(OLD, name_of(0), 1)["access_token"])
    await store.put(name_of(1), access_token="", refresh_token="")
    assert await Reseal(SqlSealedGrants(store.database, BOTH))(10) == Resealed(1, 0, {"new": 4}, ())
    row = (await store.rows())[name_of(0)]
    assert {key_id(row["access_token"]), key_id(row["refresh_token"])} == {"new"}
