"""Tokens at rest: a ciphertext opens in its own place, unchanged, and nowhere else."""

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from token_broker.adapters.grant_store import context
from token_broker.keyring import KeyRing, SealBroken, key_id

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
    assert ring.ids == {"a", "b"}
