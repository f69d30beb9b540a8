"""The notifier's configuration."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from shared.settings.base import ServiceSettings
from shared.settings.groups import AmqpSettings, HttpSettings, PolicySettings, TelemetrySettings


class LedgerSettings(ServiceSettings):
    """All that the notifier's commands need."""

    notifier_database_url: SecretStr = Field(
        default=SecretStr("sqlite+aiosqlite:///var/notifier.db"),
        description="The notifier's ledger: sqlite:///path or postgresql://user:password@host/database",
    )


class ErasureSettings(LedgerSettings):
    """What it takes to erase a person, and to know an erased one again."""

    erasure_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Known to nobody else and never changed: by it an erased person is known again; needed to erase",
    )


class TemplateSettings(PolicySettings):
    """All that the care for templates needs."""

    whatsapp_api_url: str = Field(default="https://graph.facebook.com", description="WhatsApp's Cloud API")
    whatsapp_api_version: str = Field(
        default="v25.0", pattern=r"^v\d+\.\d+$", description="The Graph API version, always pinned"
    )
    whatsapp_access_token: SecretStr = Field(min_length=1, description="The system user's access token")
    whatsapp_business_account_id: str | None = Field(
        default=None,
        pattern=r"^[\w-]+$",
        description="The id of the WhatsApp Business Account; without it templates are neither pushed nor checked",
    )


class NotifierSettings(ErasureSettings, TemplateSettings, AmqpSettings, TelemetrySettings, HttpSettings):
    notifier_port: int = Field(
        default=8084, ge=0, le=65535, description="The notifier's own port; 0 takes any free one"
    )
    whatsapp_phone_number_id: str = Field(
        min_length=1, pattern=r"^[\w-]+$", description="The id (not the number) of the sending phone number"
    )
    whatsapp_messages_per_second: float = Field(
        default=80,
        gt=0,
        le=1000,
        description="How fast the number may send; 20 where the WhatsApp Business app uses it too",
    )
    whatsapp_recipients_per_day: int = Field(
        default=0,
        ge=0,
        description="Different people the account may write to in 24 hours (250, 2000, 10000 or 100000, see WhatsApp "
        "Manager); 0: unlimited",
    )
    senders_file: str | None = Field(
        default=None, description="The senders beside the one of these variables, see docs/providers.md"
    )
    sender_secrets: Annotated[dict[str, SecretStr], NoDecode] = Field(
        default_factory=dict,
        description="What the senders of that file send with: name:secret, comma between them (Meta's access token, "
        "Twilio's auth token or an API key's secret)",
    )
    twilio_webhook_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^?#]+$",
        description="The public address of ingress's /webhooks/twilio, exactly as Twilio is given it",
    )

    @field_validator("sender_secrets", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().partition(":") for part in value.split(",") if part.strip()]
        if not all(name and secret for name, _, secret in pairs):
            raise ValueError("must be name:secret, comma between them")
        return {name.strip(): secret.strip() for name, _, secret in pairs}
