"""What can be switched in the sandbox while it runs."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr

GRANULAR_SCOPES = frozenset(
    {
        "openid",
        "profile",
        "email",
        "offline_access",
        *(
            f"accounting.{area}{right}"
            for area in (
                "invoices",
                "payments",
                "banktransactions",
                "manualjournals",
                "contacts",
                "settings",
                "attachments",
            )
            for right in ("", ".read")
        ),
    }
)
BROAD_SCOPES = frozenset({"accounting.transactions", "accounting.transactions.read"})


class Settings(BaseModel):
    """Everything adjustable; times are seconds, limits are calls. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    client_id: str = "sandbox-client"
    client_secret: SecretStr = SecretStr("sandbox-secret")
    redirect_uris: list[str] = []
    allow_broad_scopes: bool = False
    mode: Literal["xero", "strict"] = "xero"
    auto_consent: Literal["off", "allow", "deny"] = "off"
    auto_organisations: list[str] | None = None
    auto_user: str = "owner"
    code_life: float = 300
    token_life: float = 1800
    refresh_grace: float = 1800
    refresh_life: float = 60 * 86400

    calls_per_minute: int = Field(60, ge=0)
    concurrent_calls: int = Field(5, ge=0)
    calls_per_day: int = Field(5000, ge=0)
    app_calls_per_minute: int = Field(10_000, ge=0)
    high_volume_rows: int = 100_000
    xero_latency: float = Field(0, ge=0)

    webhook_url: str | None = None
    webhook_key: SecretStr = SecretStr("sandbox-webhook-key")
    webhook_delay: float = Field(0.05, ge=0)
    webhook_batch: int = Field(10, ge=1, le=500)
    webhook_duplicates: float = Field(0, ge=0, le=1)
    webhook_shuffle: bool = False
    webhook_time_scale: float = Field(0.01, gt=0)
    webhook_disable_after: float = 86400
    webhook_timeout: float = Field(5, gt=0)
    require_handshake: bool = False
    seed: int = 1

    whatsapp_token: SecretStr = SecretStr("sandbox-whatsapp-token")
    phone_number_id: str = "100000000000001"
    display_phone_number: str = "15550100001"
    waba_id: str = "200000000000001"
    app_secret: SecretStr = SecretStr("sandbox-app-secret")
    verify_token: SecretStr = SecretStr("sandbox-verify-token")
    whatsapp_webhook_url: str | None = None
    whatsapp_batch: int = Field(100, ge=1, le=1000)
    whatsapp_duplicates: float = Field(0, ge=0, le=1)
    whatsapp_shuffle: bool = False
    whatsapp_disable_after: float = 36 * 3600
    whatsapp_latency: float = Field(0, ge=0)
    message_status: Literal["accepted", "held_for_quality_assessment"] = "accepted"
    messages_per_second: int = Field(80, ge=0)
    pair_burst: int = Field(45, ge=0)
    pair_seconds: float = Field(6, ge=0)
    auto_statuses: list[Literal["sent", "delivered", "read"]] = []
    auto_status_delay: float = Field(0.05, ge=0)
    undeliverable_numbers: list[str] = []
    send_user_ids: bool = False
    template_review: Literal["approve", "hold"] = "approve"
    template_category: Literal["UTILITY", "MARKETING"] | None = None
    manage_templates: bool = True

    twilio_account_sid: str = "AC00000000000000000000000000000001"
    twilio_auth_token: SecretStr = SecretStr("sandbox-twilio-token")
    twilio_number: str = "+14155238886"
    twilio_webhook_url: str | None = None
    twilio_forward_to: str | None = None
    twilio_unsubscribed: list[str] = []

    def patched(self, changes: Mapping[str, Any]) -> Self:
        """These settings with `changes` applied; raises pydantic's ValidationError on an unknown name or bad value."""
        return self.model_validate({**self.model_dump(), **changes})
