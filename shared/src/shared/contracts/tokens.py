"""The two questions asked of the token-broker, and its answers. Never an event, never stored."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr, field_serializer

from shared.contracts.base import Contract, Identifier, UtcTime


class TokenAccessRequest(Contract):
    """``refused`` is the fingerprint of a token Xero has just answered 401 to; the same one is not given again.

    ``forbidden``: Xero answered 403 to this tenant with a valid token. The token-broker then looks whether the
    organisation is still connected.
    """

    key: ClassVar[str] = "token.access"

    tenant_id: Identifier
    refused: str | None = None
    forbidden: bool = False


class TokenGranted(Contract):
    """An access token for the tenant's calls. It must not be stored outside memory, logged or published."""

    outcome: Literal["granted"] = "granted"
    access_token: SecretStr
    expires_at: UtcTime

    @field_serializer("access_token", when_used="json")
    def _reveal(self, token: SecretStr) -> str:
        return token.get_secret_value()


class TokenRefusal(StrEnum):
    UNKNOWN_TENANT = "unknown_tenant"
    RECONNECT_NEEDED = "reconnect_needed"
    TRY_LATER = "try_later"


class TokenRefused(Contract):
    """Why there is no token now; ``retry_after`` in seconds goes with ``try_later``."""

    outcome: Literal["refused"] = "refused"
    reason: TokenRefusal
    retry_after: float | None = None


TokenAnswer = Annotated[TokenGranted | TokenRefused, Field(discriminator="outcome")]


class ConnectionsListRequest(Contract):
    key: ClassVar[str] = "connections.list"


class Connection(Contract):
    tenant_id: Identifier
    tenant_name: str
    connected_at: UtcTime


class ConnectionsList(Contract):
    """The tenants that can be read now."""

    connections: tuple[Connection, ...]
