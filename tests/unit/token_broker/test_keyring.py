"""Tokens at rest: a ciphertext opens in its own place, unchanged, and nowhere else."""

import base64
import os
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from token_broker.adapters.grant_store import context
from token_broker.keyring import UNREADABLE, KeyRing, SealBroken, key_id, shown_key_id

KEYS = {name: os.urandom(32) for name in ("new", "old")}
RING = KeyRing(KEYS)
TOKEN = SecretStr("a refresh token")
PLACE = context("refresh", "grant-1", 7)


def entry(name: str, key: bytes = b"k" * 32) -> str:
    return f"{name}:{base64.b64encode(key).decode()}"


def test_a_sealed_token_opens_in_its_place() -> None:
    assert RING.open(RING.seal(TOKEN, PLACE), PLACE) == TOKEN


def test_the_first_key_seals_and_every_key_opens() -> None:
    by_old = KeyRing({"old": KEYS["old"]}).seal(TOKEN, PLACE)
    assert key_id(RING.seal(TOKEN, PLACE)) == "new"
    assert RING.open(by_old, PLACE) == TOKEN


def test_the_same_token_never_looks_the_same_twice() -> None:
    assert RING.seal(TOKEN, PLACE) != RING.seal(TOKEN, PLACE)


def test_a_key_that_left_the_ring_no_longer_opens() -> None:
    sealed = RING.seal(TOKEN, PLACE)
    with pytest.raises(SealBroken):
        KeyRing({"old": KEYS["old"]}).open(sealed, PLACE)


@given(st.data())
def test_no_flipped_bit_goes_unnoticed(data: st.DataObject) -> None:
    name, _, encoded = RING.seal(TOKEN, PLACE).partition(".")
    raw = bytearray(base64.urlsafe_b64decode(encoded))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        RING.open(f"{name}.{base64.urlsafe_b64encode(raw).decode()}", PLACE)


def flipped(text: bytes, bit: int) -> bytes:
    changed = bytearray(text)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def accepted(attempts: int, attempt: Callable[[], object]) -> int:
    """How many attempts did not end in SealBroken."""
    count = 0
    for _ in range(attempts):
        try:
            attempt()
        except SealBroken:
            continue
        count += 1
    return count


# One bit lies between their names: a flip can turn an id into another one of the ring.
NEIGHBOURS = KeyRing({name: os.urandom(32) for name in ("k1", "k3", "k5", "k9", "kq")})


def test_of_a_thousand_flipped_bits_of_nonce_content_and_tag_none_is_accepted() -> None:
    rng = random.Random(1)

    def attempt() -> None:
        secret = SecretStr(rng.randbytes(rng.randrange(1, 1500)).hex())
        name, _, encoded = NEIGHBOURS.seal(secret, PLACE).partition(".")
        raw = base64.urlsafe_b64decode(encoded)
        # A third each: the nonce, the tag, anything between.
        first, last = rng.choice([(0, 12), (12, len(raw) - 16), (len(raw) - 16, len(raw))])
        changed = flipped(raw, rng.randrange(first * 8, last * 8))
        NEIGHBOURS.open(f"{name}.{base64.urlsafe_b64encode(changed).decode()}", PLACE)

    assert accepted(1000, attempt) == 0


def test_of_a_thousand_flipped_bits_of_the_stored_text_none_is_accepted() -> None:
    rng = random.Random(2)

    def attempt() -> None:
        secret = SecretStr(rng.randbytes(rng.randrange(1, 50)).hex())
        text = NEIGHBOURS.seal(secret, PLACE).encode()
        # A third each: the key id and its dot, the end where base64 has bits to spare, anything.
        bits = rng.choice([range(3 * 8), range((len(text) - 4) * 8, len(text) * 8), range(len(text) * 8)])
        NEIGHBOURS.open(flipped(text, rng.choice(bits)).decode("latin-1"), PLACE)

    assert accepted(1000, attempt) == 0


def test_of_a_thousand_swaps_between_grants_none_is_accepted() -> None:
    rng = random.Random(3)
    grants = [os.urandom(16).hex() for _ in range(100)]
    sealed = {grant: RING.seal(TOKEN, context("refresh", grant, 7)) for grant in grants}

    def attempt() -> None:
        one, other = rng.sample(grants, 2)
        RING.open(sealed[one], context("refresh", other, 7))

    assert accepted(1000, attempt) == 0


def test_of_a_thousand_old_generations_under_a_newer_one_none_is_accepted() -> None:
    rng = random.Random(4)

    def attempt() -> None:
        old = rng.randrange(1, 10_000)
        purpose = rng.choice(["access", "refresh"])
        sealed = RING.seal(TOKEN, context(purpose, "grant-1", old))
        RING.open(sealed, context(purpose, "grant-1", old + rng.choice([1, 1, 10, rng.randrange(1, 10_000)])))

    assert accepted(1000, attempt) == 0


def test_a_text_that_says_the_same_in_other_letters_is_refused() -> None:
    sealed = RING.seal(SecretStr("x"), PLACE)
    for other in (sealed.replace("-", "+").replace("_", "/"), sealed + "=", sealed + " ", sealed.rstrip("=")):
        if other != sealed:
            with pytest.raises(SealBroken):
                RING.open(other, PLACE)


def test_no_ciphertext_is_shown_for_a_key_id() -> None:
    sealed = RING.seal(TOKEN, PLACE)
    assert shown_key_id(key_id(sealed)) == "new"
    assert shown_key_id(key_id(sealed.replace(".", "/"))) == UNREADABLE
    assert shown_key_id("") == UNREADABLE


@given(st.sampled_from(["access", "refresh"]), st.text(max_size=20), st.integers(0, 99))
def test_a_ciphertext_opens_in_no_other_place(purpose: str, grant_id: str, generation: int) -> None:
    other = context(purpose, grant_id, generation)
    if other == PLACE:
        return
    with pytest.raises(SealBroken):
        RING.open(RING.seal(TOKEN, PLACE), other)


@given(st.text(max_size=60))
def test_rubbish_is_refused_without_another_error(text: str) -> None:
    with pytest.raises(SealBroken):
        RING.open(text, PLACE)
    with pytest.raises(SealBroken):
        RING.open(f"new.{text}", PLACE)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "entry 1 is not id:base64"),
        ("abc", "entry 1 is not id:base64"),
        (f"{entry('a')},", "entry 2 is not id:base64"),
        (f"{entry('a')},{entry('a')}", "stands there twice"),
        ("a:not base64!", "is not base64"),
        (entry("a", b"short"), "has 5 bytes; it needs 32"),
        (entry("a b"), "entry 1 is not id:base64"),
    ],
)
def test_a_wrong_ring_is_told_in_words(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        KeyRing.parse(text)


def test_a_ring_keeps_its_order() -> None:
    ring = KeyRing.parse(f" {entry('b')} , {entry('a')}")
    assert key_id(ring.seal(TOKEN, PLACE)) == "b"
    assert ring.first == "b"
    assert ring.ids == {"a", "b"}
