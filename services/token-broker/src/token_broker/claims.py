"""Reads what Xero's tokens say of their owner; unverified, since they came over TLS from the token endpoint itself."""

from collections.abc import Mapping
from typing import Any

import jwt
from pydantic import SecretStr

_LONGEST_USER = 200


def xero_user(access_token: SecretStr, id_token: SecretStr | None) -> str | None:
    """The Xero user behind a token pair, or None when neither token names one."""
    id_claims = _claims(id_token)
    return (
        _text(_claims(access_token), "xero_userid")
        or _text(id_claims, "xero_userid")
        or _text(id_claims, "sub")
        or None
    )


def scopes(access_token: SecretStr) -> frozenset[str]:
    """The scopes inside an access token; empty when it is opaque."""
    claim = _claims(access_token).get("scope")
    parts = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(part for part in parts if isinstance(part, str))


def _claims(token: SecretStr | None) -> Mapping[str, Any]:
    if token is None:
        return {}
    try:
        return jwt.decode(token.get_secret_value(), options={"verify_signature": False})
    except jwt.PyJWTError:
        return {}


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) and len(value) <= _LONGEST_USER else ""
