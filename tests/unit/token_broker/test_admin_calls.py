"""The signature of an admin call: ours, unchanged, in time and once; nothing else passes."""

import random
import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from token_broker.admin.calls import MOST_BYTES, Call, CallSigner, Gate
from token_broker.links import LinkSigner

NOON = datetime(2026, 6, 23, 12, 0, tzinfo=UTC)
SECRET = SecretStr("an admin secret for tests")
SIGNER = CallSigner(SECRET)
CALL = Call("POST", "/admin/disconnect", b'{"tenant_id": "tenant-acme"}')


class Watch:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def gate(watch: Watch) -> Gate:
    return Gate(SIGNER, watch)


def test_a_call_passes_once(gate: Gate) -> None:
    authorization = SIGNER.authorization(CALL, NOON)
    assert [gate.admits(CALL, authorization) for _ in range(3)] == [True, False, False]
    assert gate.admits(CALL, SIGNER.authorization(CALL, NOON))


@pytest.mark.parametrize(
    "other",
    [
        replace(CALL, method="GET"),
        replace(CALL, method="post"),
        replace(CALL, target="/admin/revoke"),
        replace(CALL, target="/admin/disconnect?a=b"),
        replace(CALL, target="/admin/disconnect/"),
        replace(CALL, body=CALL.body.replace(b"acme", b"brio")),
        replace(CALL, body=b""),
        replace(CALL, body=CALL.body + b" "),
    ],
)
def test_it_passes_for_no_other_call(gate: Gate, other: Call) -> None:
    authorization = SIGNER.authorization(CALL, NOON)
    assert not gate.admits(other, authorization)
    assert gate.admits(CALL, authorization)


def test_it_passes_only_in_time(gate: Gate, watch: Watch) -> None:
    authorization = SIGNER.authorization(CALL, NOON)
    watch.now = NOON + timedelta(seconds=30)
    assert not gate.admits(CALL, authorization)
    watch.now = NOON - timedelta(seconds=31)
    assert not gate.admits(CALL, authorization)
    watch.now = NOON + timedelta(seconds=29)
    assert gate.admits(CALL, authorization)


def test_nobody_can_sign_for_longer_than_a_minute(gate: Gate) -> None:
    assert not gate.admits(CALL, SIGNER.authorization(CALL, NOON + timedelta(seconds=31)))
    assert gate.admits(CALL, SIGNER.authorization(CALL, NOON + timedelta(seconds=30)))


def test_a_call_that_was_taken_is_remembered_until_it_is_out_of_time(gate: Gate, watch: Watch) -> None:
    authorization = SIGNER.authorization(CALL, NOON)
    assert gate.admits(CALL, authorization)
    for second in range(1, 120):
        watch.now = NOON + timedelta(seconds=second)
        assert not gate.admits(CALL, authorization)


def test_a_full_memory_takes_no_more_until_it_may_forget(gate: Gate, watch: Watch) -> None:
    first = SIGNER.authorization(CALL, NOON)
    assert gate.admits(CALL, first)
    assert all(gate.admits(CALL, SIGNER.authorization(CALL, NOON)) for _ in range(9_999))
    assert not gate.admits(CALL, SIGNER.authorization(CALL, NOON))
    assert not gate.admits(CALL, first)
    watch.now = NOON + timedelta(seconds=31)
    assert gate.admits(CALL, SIGNER.authorization(CALL, watch.now))


def test_another_secret_does_not_sign_for_us(gate: Gate) -> None:
    other = CallSigner(SecretStr("another admin secret here"))
    assert not gate.admits(CALL, other.authorization(CALL, NOON))


def test_a_consent_link_of_the_same_secret_signs_no_call(gate: Gate) -> None:
    link = dict(httpx.URL(LinkSigner("https://broker.test/connect", SECRET).new(NOON, timedelta(seconds=30))).params)
    expires, nonce, signature = (link[name] for name in ("expires", "nonce", "signature"))
    for call in (CALL, Call("GET", "/admin/connections")):
        assert not gate.admits(call, f"Duebell-Admin {expires}:{nonce}:{signature}")


def test_a_body_that_is_too_long_does_not_pass(gate: Gate) -> None:
    for size, passes in ((MOST_BYTES, True), (MOST_BYTES + 1, False)):
        call = replace(CALL, body=b"x" * size)
        assert gate.admits(call, SIGNER.authorization(call, NOON)) is passes


@pytest.mark.parametrize(
    "authorization",
    ["", "Duebell-Admin", "Bearer x", "Duebell-Admin ::", "Duebell-Admin ٣:nonce-nonce-nonce:" + "0" * 64],
)
def test_odd_headers_are_refused_without_an_error(gate: Gate, authorization: str) -> None:
    assert not gate.admits(CALL, authorization)


def test_of_a_thousand_random_alterations_none_passes(gate: Gate) -> None:
    rng = random.Random(20260623)
    accepted = sum(_altered_passes(gate, rng) for _ in range(1000))
    assert accepted == 0
    assert gate.admits(CALL, SIGNER.authorization(CALL, NOON))


def _altered_passes(gate: Gate, rng: random.Random) -> bool:
    authorization = SIGNER.authorization(CALL, NOON)
    part = rng.choice(["header", "header", "method", "target", "body"])
    if part == "header":
        return gate.admits(CALL, _altered(authorization, rng))
    if part == "body":
        return gate.admits(replace(CALL, body=_altered(CALL.body.decode(), rng).encode()), authorization)
    if part == "method":
        return gate.admits(replace(CALL, method=_altered(CALL.method, rng)), authorization)
    return gate.admits(replace(CALL, target=_altered(CALL.target, rng)), authorization)


def _altered(text: str, rng: random.Random) -> str:
    """One letter changed, added or taken away, or two neighbours exchanged."""
    while True:
        at = rng.randrange(len(text))
        letter = rng.choice(string.digits + string.ascii_letters + "-_:/?&= \n{}")
        found = {
            "change": text[:at] + letter + text[at + 1 :],
            "add": text[:at] + letter + text[at:],
            "take": text[:at] + text[at + 1 :],
            "exchange": text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
        }[rng.choice(["change", "add", "take", "exchange"])]
        if found != text:
            return found
