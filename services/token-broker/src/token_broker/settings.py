"""What the token-broker and its link command read from the environment."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from shared.settings.base import ServiceSettings
from shared.settings.groups import AmqpSettings, HttpSettings, RedisSettings, TelemetrySettings
from token_broker.keyring import KeyRing

_CALLBACK = "/callback"
_SHORTEST_SECRET = 8


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < _SHORTEST_SECRET:
        raise ValueError(f"it needs at least {_SHORTEST_SECRET} characters (make one with: openssl rand -hex 32)")
    return secret


def _a_ring(text: SecretStr) -> SecretStr:
    KeyRing.parse(text.get_secret_value())
    return text


def _a_callback(uri: str) -> str:
    if not uri.startswith(("https://", "http://")) or not uri.endswith(_CALLBACK):
        raise ValueError("it must be a web address that ends in /callback")
    return uri


def _with_offline_access(scopes: str) -> str:
    if "offline_access" not in scopes.split():
        raise ValueError("offline_access must be among the scopes; without it Xero gives no refresh token")
    return scopes


class LinkSettings(ServiceSettings):
    """All that a consent link is made of."""

    admin_secret: Annotated[SecretStr, AfterValidator(_long_enough)] = Field(
        description="Signs consent links and admin calls; openssl rand -hex 32"
    )
    token_broker_port: int = Field(
        default=8081, ge=0, le=65535, description="Where the token-broker listens; 0 = any free"
    )
    xero_redirect_uri: Annotated[str, AfterValidator(_a_callback)] = Field(
        default="http://localhost:8081/callback",
        description="The token-broker's public /callback, exactly as registered with Xero",
    )

    @model_validator(mode="before")
    @classmethod
    def _redirect_to_own_port(cls, values: dict[str, object]) -> dict[str, object]:
        port = values.get("token_broker_port")
        if port is not None and not values.get("xero_redirect_uri"):
            return {**values, "xero_redirect_uri": f"http://localhost:{port}{_CALLBACK}"}
        return values

    @property
    def connect_url(self) -> str:
        """Where consent links point to."""
        return self.xero_redirect_uri.removesuffix(_CALLBACK) + "/connect"


class TokenBrokerSettings(LinkSettings, AmqpSettings, RedisSettings, TelemetrySettings, HttpSettings):
    token_broker_database_url: SecretStr = Field(
        default=SecretStr("sqlite+aiosqlite:///var/token-broker.db"), description="Grants and connections, encrypted"
    )
    token_keys: Annotated[SecretStr, AfterValidator(_a_ring)] = Field(
        description="Key ring for tokens at rest, id:base64,…; the first key encrypts, all decrypt"
    )
    xero_client_id: str = Field(min_length=1, description="Of the Xero app")
    xero_client_secret: SecretStr = Field(min_length=1, description="Of the Xero app")
    xero_scopes: Annotated[str, AfterValidator(_with_offline_access)] = Field(
        default="openid profile email offline_access "
        "accounting.invoices.read accounting.contacts.read accounting.settings.read",
        description="What organisations are asked to allow",
    )
    xero_api_url: str = Field(default="https://api.xero.com", description="Xero's API")
    xero_identity_url: str = Field(default="https://identity.xero.com", description="Xero's token endpoint")
    xero_login_url: str = Field(default="https://login.xero.com", description="Xero's login page")
    xero_refresh_grace_seconds: float = Field(
        default=1800.0,
        ge=0,
        le=86_400,
        description="How long a refresh token whose answer was lost is taken again; 0: never, as strict providers do",
    )
