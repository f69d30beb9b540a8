"""Forged bodies are refused, whoever forged them."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.signatures import meta_signature_matches, word_matches, xero_signature_matches

KEY = "ZGVjb2RpbmcgdGhpcyB3b3VsZCBiZSB3cm9uZw=="


def xero_signature(body: bytes, key: str = KEY) -> str:
    return base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256)).decode()


@given(st.binary(max_size=300), st.lists(st.text(min_size=1), max_size=3))
def test_any_configured_key_is_accepted_over_the_bytes_as_they_are(body: bytes, others: list[str]) -> None:
    assert xero_signature_matches(body, xero_signature(body), [*others, KEY])


@given(st.binary(min_size=1, max_size=300), st.data())
def test_one_flipped_bit_is_refused(body: bytes, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    forged = bytearray(body)
    forged[bit // 8] ^= 1 << bit % 8
    assert not xero_signature_matches(bytes(forged), xero_signature(body), [KEY])


def test_one_other_character_in_the_signature_is_refused() -> None:
    body = b'{"events":[],"firstEventSequence": 0}'
    right = xero_signature(body)
    for position in range(len(right)):
        wrong = right[:position] + ("A" if right[position] != "A" else "B") + right[position + 1 :]
        assert not xero_signature_matches(body, wrong, [KEY])


@pytest.mark.parametrize("signature", [None, "", "=", "a", "é" * 44, "\ud800" * 44])
def test_no_or_nonsense_signature_is_refused(signature: str | None) -> None:
    assert not xero_signature_matches(b"{}", signature, [KEY])
    assert not meta_signature_matches(b"{}", signature, "secret")


def test_the_key_is_used_as_text_not_decoded() -> None:
    body = b"{}"
    decoded = base64.b64encode(hmac.digest(base64.b64decode(KEY), body, hashlib.sha256)).decode()
    assert not xero_signature_matches(body, decoded, [KEY])


def test_meta_signs_with_the_app_secret_in_hexadecimal() -> None:
    body = b'{"entry": []}'
    right = "sha256=" + hmac.new(b"app secret", body, hashlib.sha256).hexdigest()
    assert meta_signature_matches(body, right, "app secret")
    assert not meta_signature_matches(body, right, "verify token")
    assert not meta_signature_matches(body, right.removeprefix("sha256="), "app secret")
    assert not meta_signature_matches(body + b" ", right, "app secret")


def test_the_verify_token_is_compared_whole() -> None:
    assert word_matches("open sesame", "open sesame")
    assert not word_matches("open", "open sesame")
    assert not word_matches(None, "open sesame")
