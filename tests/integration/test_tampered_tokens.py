"""Tokens at rest: rows that were tampered with give no token."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from support.sealed import BOTH, NEW, OLD, Store, migrated, name_of, sealed, secret
from support.sizes import rounds
from token_broker.keyring import SealBroken

pytestmark = pytest.mark.integration

GRANTS = 20
Tampering = Callable[[random.Random, Store, str, str], Awaitable[str]]


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with migrated(database_url) as found:
        yield found


async def flip(rng: random.Random, store: Store, grant_id: str, column: str) -> str:
    """Any bit of the stored text: key id, nonce, content or tag."""
    text: bytes = (await store.rows())[grant_id][column].encode()
    at = rng.choice([rng.randrange(4), rng.randrange(len(text))])
    return (text[:at] + bytes([text[at] ^ 1 << rng.randrange(7)]) + text[at + 1 :]).decode()


async def swap(rng: random.Random, store: Store, grant_id: str, column: str) -> str:
    """Another grant's of the same generation, or now and then the same grant's other token."""
    rows = await store.rows()
    if rng.random() < 0.1:
        return str(rows[grant_id]["access_token" if column == "refresh_token" else "refresh_token"])
    return str(rows[rng.choice(sorted(rows.keys() - {grant_id}))][column])


async def age(rng: random.Random, store: Store, grant_id: str, column: str) -> str:
    """One that was valid before the last refreshes."""
    return sealed(rng.choice([NEW, OLD]), grant_id, rng.choice([8, 8, rng.randrange(1, 8)]))[column]


@pytest.mark.parametrize("tamper", [flip, swap, age])
async def test_a_tampered_row_gives_no_token(store: Store, tamper: Tampering) -> None:
    rng = random.Random(5)
    await store.fill(GRANTS, BOTH, generation=9)
    for number in range(GRANTS):
        assert await store.access_token(name_of(number)) == secret("access", name_of(number), 9)
    accepted = 0
    for _ in range(rounds(1000, 100)):
        grant_id, purpose = name_of(rng.randrange(GRANTS)), rng.choice(["access", "refresh"])
        before = (await store.rows())[grant_id]
        await store.put(grant_id, **{f"{purpose}_token": await tamper(rng, store, grant_id, f"{purpose}_token")})
        try:
            await (store.access_token(grant_id) if purpose == "access" else store.refresh_token(grant_id))
            accepted += 1
        except SealBroken:
            pass
        await store.put(grant_id, **before)
    assert accepted == 0
    assert await store.opened_by(BOTH) == 2 * GRANTS
