"""The fetcher's variables."""

from pydantic import Field

from shared.settings.groups import AmqpSettings, HttpSettings, RedisSettings, TelemetrySettings


class FetcherSettings(AmqpSettings, RedisSettings, HttpSettings, TelemetrySettings):
    """What the fetcher reads from the environment."""

    fetcher_port: int = Field(default=8082, ge=0, le=65535, description="HTTP port; 0 takes any free one")
    xero_api_url: str = Field(default="https://api.xero.com", description="Where Xero's accounting API lives")
    xero_calls_per_minute: int = Field(default=60, ge=1, description="Xero's limit per organisation and minute")
    xero_concurrent_calls: int = Field(default=5, ge=1, description="Xero's limit of calls in flight per organisation")
    xero_calls_per_day: int = Field(
        default=5000, ge=1, description="Calls per organisation and day; 1000 on Xero's Starter tier"
    )
    xero_app_calls_per_minute: int = Field(
        default=10_000, ge=1, description="Xero's limit per minute for all organisations together"
    )
