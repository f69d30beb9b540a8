"""What the scheduler reads of its environment."""

from pydantic import Field

from shared.settings.groups import AmqpSettings, HttpSettings, PolicySettings, RedisSettings, TelemetrySettings


class SchedulerSettings(AmqpSettings, RedisSettings, HttpSettings, PolicySettings, TelemetrySettings):
    scheduler_port: int = Field(default=8083, ge=0, le=65535, description="Health and metrics; 0 takes any free one")
