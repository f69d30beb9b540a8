"""Consents, codes, tokens and connections: who may read which organisation, and how refresh tokens rotate."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from sandbox.books import new_id
from sandbox.journal import Journal, short_hash
from sandbox.settings import Settings

ISSUER = "https://identity.xero.com"


class OAuthError(Exception):
    """A refusal by the token endpoint; the text is the OAuth error code."""


class TokenRefusedError(Exception):
    """An access token that the API does not take; the text is Xero's `Detail`."""


@dataclass(slots=True)
class Code:
    """An authorization code, good once."""

    user_id: str
    scopes: tuple[str, ...]
    redirect_uri: str
    event_id: str
    expires: datetime
    used: bool = False


@dataclass(slots=True)
class RefreshToken:
    """One refresh token of a family; `used` is when it was rotated."""

    family: str
    user_id: str
    scopes: tuple[str, ...]
    event_id: str
    issued: datetime
    used: datetime | None = None


@dataclass(slots=True)
class Connection:
    """A user's permission for the app to reach one organisation."""

    id: str
    user_id: str
    tenant_id: str
    event_id: str
    created: datetime
    updated: datetime


@dataclass(slots=True)
class Identity:
    """Xero's identity service for one app."""

    journal: Journal
    key: str = field(default_factory=lambda: secrets.token_hex(32))
    users: dict[str, str] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    access_tokens: list[str] = field(default_factory=list)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)
    revoked_families: set[str] = field(default_factory=set)
    connections: dict[str, Connection] = field(default_factory=dict)
    not_before: datetime | None = None
    refreshes: int = 0
    reuses: int = 0

    def user_id(self, name: str) -> str:
        """The lasting id of a Xero user, by the name used on the login page."""
        return self.users.setdefault(name, new_id())

    def consent(
        self, user: str, tenants: Sequence[str], scopes: Sequence[str], redirect_uri: str, now: datetime, life: float
    ) -> str:
        """Record a consent, connect the organisations, and return the code."""
        user_id, event_id = self.user_id(user), new_id()
        for tenant in tenants:
            known = self.connection(user_id, tenant)
            if known:
                known.updated, known.event_id = now, event_id
            else:
                created = Connection(new_id(), user_id, tenant, event_id, now, now)
                self.connections[created.id] = created
        code = secrets.token_urlsafe(32)
        self.codes[code] = Code(user_id, tuple(scopes), redirect_uri, event_id, now + timedelta(seconds=life))
        return code

    def exchange(self, code: str, redirect_uri: str, now: datetime, settings: Settings) -> dict[str, Any]:
        """A code for tokens; OAuthError when it is unknown, used, late or meant for another redirect."""
        found = self.codes.get(code)
        if found is None:
            raise OAuthError("invalid_grant")
        if found.used:
            self.journal.breach("code_reuse", code=short_hash(code))
            raise OAuthError("invalid_grant")
        if now >= found.expires or redirect_uri != found.redirect_uri:
            raise OAuthError("invalid_grant")
        found.used = True
        return self._tokens(RefreshToken(new_id(), found.user_id, found.scopes, found.event_id, now), now, settings)

    def refresh(self, token: str, now: datetime, settings: Settings) -> dict[str, Any]:
        """Rotate a refresh token; OAuthError when it is unknown, revoked, idle too long or reused wrongly."""
        found = self.refresh_tokens.get(token)
        if found is None or found.family in self.revoked_families:
            if found is not None:
                self.reuses += found.used is not None
            raise OAuthError("invalid_grant")
        if found.used is not None:
            self._reused(found, token, now, settings)
        elif now - found.issued > timedelta(seconds=settings.refresh_life):
            raise OAuthError("invalid_grant")
        else:
            found.used = now
        self.refreshes += 1
        successor = RefreshToken(found.family, found.user_id, found.scopes, found.event_id, now)
        return self._tokens(successor, now, settings)

    def _reused(self, found: RefreshToken, token: str, now: datetime, settings: Settings) -> None:
        self.reuses += 1
        age = now - (found.used or now)
        if settings.mode == "strict":
            self.revoked_families.add(found.family)
            self.journal.breach("token_reuse", token=short_hash(token), family=found.family)
            raise OAuthError("invalid_grant")
        if age > timedelta(seconds=settings.refresh_grace):
            self.journal.breach("token_reuse", token=short_hash(token), family=found.family)
            raise OAuthError("invalid_grant")

    def revoke(self, token: str) -> bool:
        """Revoke a refresh token's family and all of its user's connections; whether the token was known."""
        found = self.refresh_tokens.get(token)
        if found is None:
            return False
        self.revoke_user(found.user_id)
        return True

    def revoke_user(self, user_id: str) -> None:
        """The user withdraws everything."""
        self.revoked_families |= {item.family for item in self.refresh_tokens.values() if item.user_id == user_id}
        for connection in [item for item in self.connections.values() if item.user_id == user_id]:
            del self.connections[connection.id]

    def connection(self, user_id: str, tenant: str) -> Connection | None:
        """The user's connection to the tenant, if there is one."""
        return next(
            (item for item in self.connections.values() if item.user_id == user_id and item.tenant_id == tenant), None
        )

    def claims(self, access_token: str, now: datetime) -> dict[str, Any]:
        """What a valid access token says; TokenRefusedError when it is not valid now."""
        try:
            claims: dict[str, Any] = jwt.decode(
                access_token,
                self.key,
                algorithms=["HS256"],
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )
        except jwt.PyJWTError:
            raise TokenRefusedError("TokenInvalidSignature: token signature is invalid") from None
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        withdrawn = self.not_before is not None and claims["issued"] < self.not_before.timestamp()
        if now >= expires or withdrawn:
            raise TokenRefusedError(f"TokenExpired: token expired at {expires:%m/%d/%Y %H:%M:%S}")
        return claims

    def _tokens(self, token: RefreshToken, now: datetime, settings: Settings) -> dict[str, Any]:
        epoch = int(now.timestamp())
        common = {
            "nbf": epoch,
            "iat": epoch,
            "iss": ISSUER,
            "sub": short_hash(token.user_id),
            "auth_time": epoch,
            "idp": "local",
            "xero_userid": token.user_id,
            "global_session_id": token.family.replace("-", ""),
        }
        access = common | {
            "exp": int((now + timedelta(seconds=settings.token_life)).timestamp()),
            "issued": now.timestamp(),
            "aud": f"{ISSUER}/resources",
            "client_id": settings.client_id,
            "jti": secrets.token_hex(16),
            "authentication_event_id": token.event_id,
            "scope": list(token.scopes),
            "amr": ["pwd"],
        }
        self.access_tokens.append(jwt.encode(access, self.key, algorithm="HS256"))
        answer: dict[str, Any] = {
            "access_token": self.access_tokens[-1],
            "expires_in": int(settings.token_life),
            "token_type": "Bearer",
            "scope": " ".join(token.scopes),
        }
        if "openid" in token.scopes:
            id_claims = common | {"exp": epoch + 300, "aud": settings.client_id, "name": "Sandbox User"}
            answer["id_token"] = jwt.encode(id_claims, self.key, algorithm="HS256")
        if "offline_access" in token.scopes:
            value = secrets.token_urlsafe(32)
            self.refresh_tokens[value] = token
            answer["refresh_token"] = value
        return answer
