"""Consent links: only ours pass, and only unchanged."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from token_broker.links import Link, LinkInvalid, LinkSigner

NOON = datetime(2026, 6, 23, 12, 0, tzinfo=UTC)
SIGNER = LinkSigner("https://broker.test/connect", SecretStr("an admin secret for tests"))


def query(url: str) -> dict[str, str]:
    return dict(httpx.URL(url).params)


def test_a_link_reads_back_as_it_was_made() -> None:
    link = SIGNER.read(query(SIGNER.new(NOON, timedelta(hours=2))))
    assert link.expires_at == NOON + timedelta(hours=2)


def test_two_links_differ() -> None:
    assert SIGNER.new(NOON, timedelta(hours=1)) != SIGNER.new(NOON, timedelta(hours=1))


@pytest.mark.parametrize("part", ["nonce", "expires", "signature"])
def test_a_missing_part_is_refused(part: str) -> None:
    parts = query(SIGNER.new(NOON, timedelta(hours=1)))
    del parts[part]
    with pytest.raises(LinkInvalid):
        SIGNER.read(parts)


def test_a_longer_life_cannot_be_written_into_a_link() -> None:
    parts = query(SIGNER.new(NOON, timedelta(hours=1)))
    with pytest.raises(LinkInvalid):
        SIGNER.read(parts | {"expires": str(int(parts["expires"]) + 1)})


def test_another_secret_does_not_sign_for_us() -> None:
    other = LinkSigner("https://broker.test/connect", SecretStr("another admin secret here"))
    with pytest.raises(LinkInvalid):
        SIGNER.read(query(other.new(NOON, timedelta(hours=1))))


@pytest.mark.parametrize("expires", ["", "-1", "1e9", "٣", "9" * 65, "99999999999999999999"])
def test_an_odd_expiry_is_refused_without_an_error(expires: str) -> None:
    with pytest.raises(LinkInvalid):
        SIGNER.read({"nonce": "n", "expires": expires, "signature": "0" * 64})


@given(st.dictionaries(st.sampled_from(["nonce", "expires", "signature"]), st.text(max_size=80)))
def test_no_invented_query_passes(parts: dict[str, str]) -> None:
    with pytest.raises(LinkInvalid):
        SIGNER.read(parts)


@given(st.text(min_size=1, max_size=64), st.integers(0, 4_000_000_000))
def test_every_signed_link_passes(nonce: str, expires: int) -> None:
    link = Link(nonce, datetime.fromtimestamp(expires, UTC))
    assert SIGNER.read(query(SIGNER.url(link))) == link
