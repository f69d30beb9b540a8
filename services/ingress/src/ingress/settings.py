"""What ingress reads of its environment."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from shared.settings.groups import AmqpSettings, HttpSettings, TelemetrySettings


class IngressSettings(AmqpSettings, HttpSettings, TelemetrySettings):
    ingress_port: int = Field(default=8080, ge=0, le=65535, description="The public port; 0 takes any free one")
    xero_webhook_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        min_length=1, description="Webhook signing keys of the Xero app, comma between them; any is accepted"
    )
    whatsapp_app_secret: SecretStr = Field(
        min_length=1,
        description="App secret of the Meta app: signs its webhooks; of several apps, comma between them",
    )
    whatsapp_verify_token: SecretStr = Field(min_length=1, description="The word Meta repeats when it verifies the URL")

    twilio_auth_tokens: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        description="Auth tokens of the Twilio accounts that senders use, comma between them: they sign its webhooks",
    )
    twilio_webhook_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^?#]+$",
        description="The public address of ingress's /webhooks/twilio, exactly as Twilio is given it",
    )

    @field_validator("xero_webhook_keys", "twilio_auth_tokens", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _twilio_is_whole(self) -> "IngressSettings":
        if self.twilio_auth_tokens and self.twilio_webhook_url is None:
            raise ValueError("DUEBELL_TWILIO_AUTH_TOKENS needs DUEBELL_TWILIO_WEBHOOK_URL, which is signed too")
        return self

    @property
    def app_secrets(self) -> tuple[str, ...]:
        """Of every Meta app."""
        return tuple(part.strip() for part in self.whatsapp_app_secret.get_secret_value().split(",") if part.strip())
