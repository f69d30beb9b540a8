"""What ingress reads of its environment."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from shared.settings.groups import AmqpSettings, HttpSettings, TelemetrySettings


class IngressSettings(AmqpSettings, HttpSettings, TelemetrySettings):
    ingress_port: int = Field(default=8080, ge=0, le=65535, description="The public port; 0 takes any free one")
    xero_webhook_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        min_length=1, description="Webhook signing keys of the Xero app, comma between them; any is accepted"
    )
    whatsapp_app_secret: SecretStr = Field(min_length=1, description="App secret of the Meta app: signs its webhooks")
    whatsapp_verify_token: SecretStr = Field(min_length=1, description="The word Meta repeats when it verifies the URL")

    @field_validator("xero_webhook_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
