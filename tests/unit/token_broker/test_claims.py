"""Whose tokens these are."""

import jwt
import pytest
from pydantic import SecretStr

from token_broker.claims import scopes, xero_user
from unit.token_broker.strict_xero import SIGNING_KEY


def token(**claims: object) -> SecretStr:
    return SecretStr(jwt.encode(claims, SIGNING_KEY))


OPAQUE = SecretStr("opaque")


@pytest.mark.parametrize(
    ("access", "id_token", "user"),
    [
        (token(xero_userid="a"), token(xero_userid="b", sub="c"), "a"),
        (OPAQUE, token(xero_userid="b", sub="c"), "b"),
        (OPAQUE, token(sub="c"), "c"),
        (token(sub="not a user"), token(sub="c"), "c"),
        (OPAQUE, None, None),
        (OPAQUE, SecretStr("a.b.c"), None),
        (token(xero_userid=7), None, None),
        (token(xero_userid="x" * 201), None, None),
        (token(xero_userid="a", exp=1), None, "a"),
    ],
)
def test_the_user_is_found_where_xero_says_it(access: SecretStr, id_token: SecretStr | None, user: str | None) -> None:
    assert xero_user(access, id_token) == user


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        (token(scope=["a", "b", 3]), {"a", "b"}),
        (token(scope="a b"), {"a", "b"}),
        (token(), set()),
        (OPAQUE, set()),
    ],
)
def test_scopes_are_read_as_list_or_text(access: SecretStr, expected: set[str]) -> None:
    assert scopes(access) == expected
